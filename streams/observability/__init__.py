"""Metrics, health, logs, lag and restore progress."""
