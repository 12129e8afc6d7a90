"""Flows shown to people: words, graph, SVG, JSON Schema and migration plan."""
