"""Pure functions from a session to something to show."""
