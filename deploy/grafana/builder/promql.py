"""PromQL expressions. Selectors filter by the variables of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SHOP: Final = 'shop=~"$shop"'
TARGET: Final = f'{SHOP}, instance=~"$instance"'
JOB: Final = 'job="takk"'
FLOW: Final = 'flow=~"$flow"'
STAGE: Final = 'stage=~"$stage"'
#: Grafana's window for rates: at least four scrapes, and at least one step of the graph.
RATE_WINDOW: Final = "$__rate_interval"
#: The time range of the dashboard.
RANGE: Final = "$__range"


def series(metric: str, *matchers: str, **labels: str) -> str:
    """Return a selector of `metric` in the selected processes.

    Args:
        matchers: further matchers, such as `FLOW`.
        labels: values of labels; a value that starts with `~` is a regular expression.
    """
    return f"{metric}{{{', '.join((TARGET, *matchers, *_matchers(labels)))}}}"


def _matchers(labels: Mapping[str, str]) -> list[str]:
    return [f'{label}={"~" * value.startswith("~")}"{value.removeprefix("~")}"' for label, value in labels.items()]


def shop_series(metric: str, *matchers: str, **labels: str) -> str:
    """Return a selector of `metric` for all processes of the shop. Recording rules have no instance."""
    return f"{metric}{{{', '.join((SHOP, *matchers, *_matchers(labels)))}}}"


def rate(metric: str, *matchers: str, **labels: str) -> str:
    """Return the increase per second of a counter."""
    return f"rate({series(metric, *matchers, **labels)}[{RATE_WINDOW}])"


def increase(metric: str, *matchers: str, window: str = RANGE, **labels: str) -> str:
    """Return the increase of a counter within `window`."""
    return f"increase({series(metric, *matchers, **labels)}[{window}])"


def total(expression: str, by: str = "") -> str:
    """Return the sum of `expression`, per value of the labels `by`."""
    return aggregate("sum", expression, by)


def largest(expression: str, by: str = "") -> str:
    """Return the maximum of `expression`, per value of the labels `by`."""
    return aggregate("max", expression, by)


def aggregate(operator: str, expression: str, by: str) -> str:
    """Return `expression` aggregated by `operator`, per value of the labels `by`."""
    return f"{operator} by ({by}) ({expression})" if by else f"{operator}({expression})"


def quantile(
    share: float, histogram: str, *matchers: str, by: str = "", window: str = RATE_WINDOW, **fixed: str
) -> str:
    """Return a quantile of a histogram over `window`, per value of the labels `by`.

    Args:
        share: the quantile, 0 to 1.
        histogram: the name without `_bucket`.
        fixed: values of labels.
    """
    buckets = f"rate({series(f'{histogram}_bucket', *matchers, **fixed)}[{window}])"
    return f"histogram_quantile({share:g}, {total(buckets, f'{by}, le' if by else 'le')})"


def mean(histogram: str, *matchers: str, by: str = "") -> str:
    """Return the mean of a histogram, per value of the labels `by`."""
    return f"{total(rate(f'{histogram}_sum', *matchers), by)} / {total(rate(f'{histogram}_count', *matchers), by)}"


def most(expression: str) -> str:
    """Return the ten largest values above 0."""
    return f"topk(10, ({expression}) > 0)"


def age(timestamp: str) -> str:
    """Return the seconds since a Unix time. A process may set the time just after the scrape began, hence not below 0."""
    return f"clamp_min(time() - {timestamp}, 0)"
