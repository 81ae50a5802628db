"""Models: one conversation, many providers. The only place that knows their SDKs."""
