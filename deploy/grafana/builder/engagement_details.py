"""People and machines, orders and unsubscriptions: the lower half of the dashboard of engagement."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.engagement_queries import DAY, counted, happened, revenue
from deploy.grafana.builder.panels import About, Query, Size, bar_chart, graph
from deploy.grafana.builder.tables import Column, rows

CELL: Final = Size(8, 8)


def machines() -> list[model.Panel]:
    """Return the panels that separate people from machines."""
    return [
        graph(
            "Opens per hour by agent",
            CELL,
            About(
                "All opens, repeated ones included. human: a mail program. privacy_proxy: the proxy of a provider, which opens "
                "emails unread. scanner: a security program. unknown: not recognized.",
                "Most opens are by privacy_proxy and human.",
                "Do not judge a message by opens of machines. The rates above leave known machines out.",
            ),
            "suffix:/h",
            Query(counted("takk_opens_total", "agent", "1h"), "{{agent}}"),
            stacked=True,
        ),
        graph(
            "Clicks per hour by agent",
            CELL,
            About(
                "All clicks, repeated ones included, by agent.",
                "Most clicks are by human. Scanners click every link within seconds.",
                "Do not judge a message by clicks of machines. The rates above count people only.",
            ),
            "suffix:/h",
            Query(counted("takk_clicks_total", "agent", "1h"), "{{agent}}"),
            stacked=True,
        ),
        bar_chart(
            "With and without machines",
            CELL,
            About(
                "Opens and clicks within the time range: by all agents, and without privacy proxies and scanners.",
                "Opens with machines are about twice those without. Clicks are close together.",
                "A large difference in clicks: a company's security scanner follows all links.",
            ),
            "locale",
            Query(counted("takk_engagement_total", kind="opened"), "opens, with machines"),
            Query(counted("takk_engagement_total", kind="opened", agent="~human|unknown"), "opens, without"),
            Query(counted("takk_engagement_total", kind="clicked"), "clicks, with machines"),
            Query(counted("takk_engagement_total", kind="clicked", agent="~human|unknown"), "clicks, without"),
            decimals=0,
        ),
    ]  # fmt: skip


def orders() -> list[model.Panel]:
    """Return the panels about orders and about customers who left."""
    return [
        rows(
            "Attributed revenue by message",
            CELL,
            About(
                "Revenue of orders after a click within the time range, by message and currency. Currencies are not converted.",
                "Marketing flows lead. Order confirmations bring some revenue too.",
                "A message with many emails and no revenue may be worth less than its unsubscriptions.",
            ),
            "locale",
            (
                Column("flow", "Flow"),
                Column("message", "Message"),
                Column("Value", "Revenue", "locale", decimals=0),
                Column("currency", "Currency"),
            ),
            Query(
                f"({revenue('takk_attributed_message_revenue_minor_total', 'flow, message, currency')}) > 0",
                instant=True,
            ),
            sort=("Revenue", True),
            missing="none in this time range",
        ),
        graph(
            "Attributed orders per day",
            CELL,
            About(
                "Orders within 24 hours that customers placed after a click, by flow, and orders of the control group.",
                "Orders after a click exceed those of the control group.",
                "As many orders in the control group: the emails do not change what customers buy.",
            ),
            "suffix:/d",
            Query(counted("takk_attributed_orders_total", "flow", DAY), "{{flow}}"),
            Query(happened("ordered_held_out", "flow", DAY), "control group of {{flow}}"),
        ),
        graph(
            "Customers who left, per day",
            CELL,
            About(
                "Unsubscriptions and complaints within 24 hours, by flow.",
                "Few, and spread over the marketing flows.",
                "A peak after a campaign: it reached customers who did not expect it.",
                ("TakkComplaintRateHigh",),
            ),
            "suffix:/d",
            Query(counted("takk_unsubscribes_total", "flow", DAY), "unsubscribed, {{flow}}"),
            Query(counted("takk_complaints_total", "flow", DAY), "complained, {{flow}}"),
            legend="none",
        ),
    ]
