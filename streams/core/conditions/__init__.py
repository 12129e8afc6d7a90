"""Conditions at event time: their context, their names and when they can change."""
