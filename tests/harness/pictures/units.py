"""Values with the units of Grafana, as its panels show them: `0.617` in `percentunit` is `61.7%`."""

from __future__ import annotations

import math
from datetime import UTC, datetime

#: Steps of a unit: (smallest value, divisor, suffix), the largest first.
Scale = tuple[tuple[float, float, str], ...]

_COUNT: Scale = ((1e12, 1e12, " Tri"), (1e9, 1e9, " Bil"), (1e6, 1e6, " Mil"), (1e3, 1e3, " K"), (0, 1, ""))
_BYTES: Scale = (
    (2**40, 2**40, " TiB"),
    (2**30, 2**30, " GiB"),
    (2**20, 2**20, " MiB"),
    (2**10, 2**10, " KiB"),
    (0, 1, " B"),
)
_DECIMAL_BYTES: Scale = ((1e12, 1e12, " TB"), (1e9, 1e9, " GB"), (1e6, 1e6, " MB"), (1e3, 1e3, " kB"), (0, 1, " B"))
_SECONDS: Scale = (
    (604_800, 604_800, " weeks"), (86_400, 86_400, " days"), (3_600, 3_600, " hours"), (60, 60, " mins"), (1, 1, " s"),
    (1e-3, 1e-3, " ms"), (1e-6, 1e-6, " µs"), (0, 1, " s"),
)  # fmt: skip
_MILLISECONDS: Scale = (
    (3_600_000, 3_600_000, " hours"),
    (60_000, 60_000, " mins"),
    (1_000, 1_000, " s"),
    (0, 1, " ms"),
)
_SCALES: dict[str, Scale] = {
    "short": _COUNT,
    "bytes": _BYTES,
    "decbytes": _DECIMAL_BYTES,
    "s": _SECONDS,
    "ms": _MILLISECONDS,
}
#: Suffixes of rates; their values are scaled like counts.
_RATES = {
    "ops": " ops/s",
    "reqps": " req/s",
    "rps": " reads/s",
    "wps": " writes/s",
    "cps": " c/s",
    "eps": " evt/s",
    "mps": " msg/s",
    "recps": " rec/s",
    "pps": " p/s",
    "iops": " io/s",
}
_RATE_SCALES: dict[str, Scale] = {"Bps": _DECIMAL_BYTES, "binBps": _BYTES}
_BOOLEANS = {"bool": ("False", "True"), "bool_yes_no": ("No", "Yes"), "bool_on_off": ("Off", "On")}
_CURRENCIES = {"currencyEUR": "€", "currencyUSD": "$", "currencyGBP": "£", "currencyDKK": "kr"}
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


def format_value(value: float, unit: str = "", decimals: int | None = None) -> str:
    """Return a value with its unit.

    Args:
        value: NaN and infinity are shown as such.
        unit: the id of a Grafana unit; `suffix:<text>` and `prefix:<text>` add a text. An unknown id is shown as a suffix.
        decimals: number of decimals; None: about three significant digits.
    """
    if not math.isfinite(value):
        return str(value).replace("nan", "NaN").replace("inf", "∞")
    if unit in _BOOLEANS:
        return _BOOLEANS[unit][value != 0]
    if unit == "locale":
        return f"{value:,.{decimals or 0}f}"
    if unit in ("percent", "percentunit"):
        return _number(value * (100 if unit == "percentunit" else 1), decimals) + "%"
    if unit.startswith("dateTime"):
        return _date(value, unit)
    if unit in ("dtdurations", "clocks"):
        return _duration(value)
    if unit in _CURRENCIES:
        return _CURRENCIES[unit] + _scaled(value, _COUNT, decimals)
    if unit.startswith("prefix:"):
        return unit.removeprefix("prefix:") + _number(value, decimals)
    if unit in _RATE_SCALES:
        return _scaled(value, _RATE_SCALES[unit], decimals) + "/s"
    if unit in _SCALES:
        return _scaled(value, _SCALES[unit], decimals)
    if unit in _RATES:
        return _scaled(value, _COUNT, decimals) + _RATES[unit]
    text = unit.removeprefix("suffix:")
    return _number(value, decimals) + (f" {text.strip()}" if text not in ("", "none") else "")


def _scaled(value: float, scale: Scale, decimals: int | None) -> str:
    if value == 0:
        return "0" + scale[-1][2]
    _, divisor, suffix = next(step for step in scale if abs(value) >= step[0])
    return _number(value / divisor, decimals) + suffix


def _number(value: float, decimals: int | None) -> str:
    if decimals is None:
        decimals = 0 if value == int(value) else max(0, min(4, 2 - math.floor(math.log10(abs(value)))))
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.{decimals}f}"


def _date(milliseconds: float, unit: str) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    if unit == "dateTimeFromNow":
        seconds = (datetime.now(UTC) - at).total_seconds()
        return f"{_duration(seconds)} ago" if seconds >= 0 else f"in {_duration(-seconds)}"
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // 60} min {whole % 60} s"
    if whole < _DAY_S:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
