"""What starts an instance: events, dates, launches and segments."""
