"""The kinds of steps at event time: what an instance does at each. One module per kind, listed in `kinds.py`."""
