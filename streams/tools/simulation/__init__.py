"""Simulations of flows on past events, on a virtual clock."""
