"""Programs for people. Nothing imports this package."""
