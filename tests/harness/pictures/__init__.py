"""Grafana's panels, drawn as HTML and SVG from a dashboard's JSON and the answers of a Prometheus."""
