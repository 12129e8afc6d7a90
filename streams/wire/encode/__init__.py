"""Effects and reports to records."""
