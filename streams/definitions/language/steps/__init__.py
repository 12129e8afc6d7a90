"""Readers of steps: one function per kind of step, listed in `kinds.py`."""
