"""Encoding of effects, reports and the journal into records."""
