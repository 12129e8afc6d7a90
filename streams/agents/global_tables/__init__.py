"""Compacted topics that every process holds in full."""
