"""Whether an email may be sent now, and what it contains."""
