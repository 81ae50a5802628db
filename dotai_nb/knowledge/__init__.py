"""What the organisation knows: patterns, policies, capabilities."""
