"""Colors of states and of thresholds, the same on all dashboards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models import dashboard as model

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "#8e8e8e"
#: A state has the same color on every dashboard. Shades of red are reserved for failures.
COLORS: Final = {
    "sent": GREEN, "accepted": GREEN, "deferred": YELLOW, "expired": ORANGE, "refused": RED, "unknown": PURPLE, "suppressed": BLUE,
    "down": RED, "in_time": GREEN, "too_late": RED, "sent_again": YELLOW, "given_up": RED,
    "human": GREEN, "privacy_proxy": GREY, "scanner": "#b877d9",
}  # fmt: skip

#: Steps of a threshold: from this value on, this color. The first value is None, for everything below the second.
Steps = Sequence[tuple[float | None, str]]
#: Ages in seconds. The red limit is that of TakkLagHigh.
LAG_STEPS: Final[Steps] = ((None, GREEN), (60, YELLOW), (300, RED))
ZERO_IS_GOOD: Final[Steps] = ((None, GREEN), (1, RED))


def thresholds(steps: Steps) -> model.ThresholdsConfig:
    """Return a threshold configuration with `steps`."""
    marks = [model.Threshold(value=value, color=color) for value, color in steps]
    return model.ThresholdsConfig(mode=model.ThresholdsMode.ABSOLUTE, steps=marks)
