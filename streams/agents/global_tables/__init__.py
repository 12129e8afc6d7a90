"""Compacted topics that a process reads completely into memory."""
