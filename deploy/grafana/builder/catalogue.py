"""All dashboards, and the folder of their JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.grafana.builder import engagement, gateway, mail, overview, pipeline, pools, resources, state, timers
from deploy.grafana.builder.screen import Screen

FOLDER: Final = Path(__file__).resolve().parents[1] / "dashboards"
SCREENS: Final[tuple[Screen, ...]] = tuple(
    module.SCREEN for module in (overview, pipeline, timers, state, mail, engagement, gateway, pools, resources)
)
