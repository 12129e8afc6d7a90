"""One handler per kind of event."""
