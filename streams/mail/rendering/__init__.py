"""Templates to HTML and text."""
