"""Records to events, commands and tables."""
