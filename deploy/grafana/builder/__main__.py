"""Write the dashboards as JSON: `python -m deploy.grafana.builder`."""

from __future__ import annotations

from deploy.grafana.builder.catalogue import FOLDER, SCREENS

if __name__ == "__main__":
    for screen in SCREENS:
        (FOLDER / f"{screen.uid}.json").write_text(screen.text(), encoding="utf-8")
