"""From the templates folder to flows, at load time."""
