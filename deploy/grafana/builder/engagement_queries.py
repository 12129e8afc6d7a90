"""The queries of the dashboard of engagement: counts and rates of the selected flows."""

from __future__ import annotations

from typing import Final

from deploy.grafana.builder.promql import FLOW, RANGE, shop_series, total

#: The window of rates over time: a day, since most customers open an email within a day.
DAY: Final = "1d"
#: Currencies whose minor unit is not a hundredth (ISO 4217), as in streams/core/values/money.py.
WHOLE: Final = "BIF|CLP|DJF|GNF|ISK|JPY|KMF|KRW|PYG|RWF|UGX|UYI|VND|VUV|XAF|XOF|XPF"
THOUSANDTHS: Final = "BHD|IQD|JOD|KWD|LYD|OMR|TND"


def counted(metric: str, by: str = "", window: str = RANGE, **labels: str) -> str:
    """Return the increase of a counter of the selected flows within `window`, per value of the labels `by`."""
    return total(f"increase({shop_series(metric, FLOW, **labels)}[{window}])", by)


def sent(by: str = "", window: str = RANGE) -> str:
    """Return the emails that the mail server accepted."""
    return counted("takk_messages_total", by, window, outcome="sent")


def engaged(kind: str, by: str = "", window: str = RANGE) -> str:
    """Return the emails that at least one person, or an unknown program, opened or clicked."""
    return counted("takk_engaged_emails_total", by, window, kind=kind)


def happened(kind: str, by: str = "", window: str = RANGE) -> str:
    """Return the engagement of one kind, by any agent."""
    return counted("takk_engagement_total", by, window, kind=kind)


def revenue(metric: str, by: str) -> str:
    """Return attributed revenue in units of its currency. `by` contains `currency`."""
    parts = (("~" + WHOLE, 1), ("~" + THOUSANDTHS, 1000))
    special = [f"{counted(metric, by, currency=currencies)} / {divisor}" for currencies, divisor in parts]
    selector = shop_series(metric, FLOW, f'currency!~"{WHOLE}|{THOUSANDTHS}"')
    return " or ".join([f"{total(f'increase({selector}[{RANGE}])', by)} / 100", *special])


def percent(part: str, whole: str) -> str:
    """Return a share in percent. It has no value while nothing was sent."""
    return f"100 * {part} / ({whole} > 0)"
