"""Metrics, health, logs, lag, disk space and restore progress."""
