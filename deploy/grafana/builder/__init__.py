"""The Grafana dashboards of Takk as code. `make docs` writes them to `deploy/grafana/dashboards` as JSON.

One module per dashboard; `promql`, `panels` and `screen` are shared. Grafana itself loads only the JSON.
"""
