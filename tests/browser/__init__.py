"""Tests in a real Chromium. They are skipped without one."""
