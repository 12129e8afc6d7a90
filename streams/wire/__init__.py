"""Decoding of records into events, and encoding of effects into records."""
