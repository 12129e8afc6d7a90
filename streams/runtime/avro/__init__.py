"""Avro encoding and decoding, with schema evolution."""
