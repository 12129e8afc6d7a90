"""The life of an instance: start, steps, waits, resume, migration and exit."""
