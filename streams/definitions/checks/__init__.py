"""Checks of flows and messages before a worker starts."""
