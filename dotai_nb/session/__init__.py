"""Sessions: events, their fold, their files."""
