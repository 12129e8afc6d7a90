"""Decoding of records into events, commands and table rows."""
