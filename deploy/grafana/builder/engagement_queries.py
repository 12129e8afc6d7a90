"""The queries of the dashboard of engagement: counts and rates of the selected flows."""

from __future__ import annotations

from typing import Final

from deploy.grafana.builder.promql import FLOW, RANGE, shop_series, total
from streams.core.values.money import EXPONENTS

#: The window of rates over time: a day, since most customers open an email within a day.
DAY: Final = "1d"


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
    """Return attributed revenue in kroner rather than øre. `by` contains `currency`: amounts in different currencies have no sum."""
    hundredths = shop_series(metric, FLOW, f'currency!~"{"|".join(sorted(EXPONENTS))}"')
    parts = [f"{total(f'increase({hundredths}[{RANGE}])', by)} / 100"]
    for digits in sorted({*EXPONENTS.values()}):
        currencies = "|".join(sorted(currency for currency, decimals in EXPONENTS.items() if decimals == digits))
        parts.append(f"{counted(metric, by, currency=f'~{currencies}')} / {10**digits}")
    return " or ".join(parts)


def percent(part: str, whole: str) -> str:
    """Return a share in percent. It has no value while nothing was sent."""
    return f"100 * {part} / ({whole} > 0)"
