"""Records on topics to events, and effects to records."""
