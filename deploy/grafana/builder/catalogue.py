"""All dashboards, in the order in which the links list them, and the folder of their JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.grafana.builder import overview
from deploy.grafana.builder.screen import Screen

FOLDER: Final = Path(__file__).resolve().parents[1] / "dashboards"
SCREENS: Final[tuple[Screen, ...]] = (overview.SCREEN,)
