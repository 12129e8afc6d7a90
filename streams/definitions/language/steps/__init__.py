"""The kinds of steps at load time: how each is read, described, drawn and checked. One module per kind, listed in `kinds.py`."""
