"""Triggers that start an instance: events, dates, launches and segments."""
