"""Flows played over past events on a virtual clock."""
