"""Engagement for the retailer: what was sent, read, clicked, bought and unsubscribed, per flow and message."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import BLUE, GREEN, RED, YELLOW
from deploy.grafana.builder.engagement_details import machines, orders
from deploy.grafana.builder.engagement_queries import DAY, engaged, happened, percent, revenue, sent
from deploy.grafana.builder.links import flow_url
from deploy.grafana.builder.panels import About, Query, Size, graph, number
from deploy.grafana.builder.screen import Row, Screen
from deploy.grafana.builder.tables import Column, rows

TILE: Final = Size(3, 4)
CELL: Final = Size(8, 8)
#: Variables of the benchmarks in percent, which a reader can change: published averages of post-purchase emails.
BENCHMARKS: Final = (
    ("benchmark_open", "Benchmark: opened (%)", "61.68"),
    ("benchmark_click", "Benchmark: clicked (%)", "3.97"),
    ("benchmark_order", "Benchmark: ordered (%)", "0.54"),
)


def rate_tile(title: str, shows: str, part: str, benchmark: str, action: str) -> model.Panel:
    """Return a rate with its benchmark beside it."""
    return number(
        title,
        Size(4, 4),
        About(f"{shows} The second number is the benchmark at the top of the page.", "At or above the benchmark.", action),
        "percent",
        Query(percent(part, sent()), "your shop"),
        Query(f"vector(${benchmark})", "benchmark"),
        steps=((None, BLUE),),
        decimals=2,
        spark=False,
        missing="nothing sent",
    )  # fmt: skip


def numbers() -> list[model.Panel]:
    """Return the numbers at the top."""
    return [
        number(
            "Emails sent",
            TILE,
            About(
                "Emails that the mail server accepted within the time range, for the selected flows.",
                "It follows the orders of the shop.",
                "Fewer than expected: see why emails were not sent.",
                ("TakkFlowStopped",),
                see="takk-mail",
            ),
            "locale",
            Query(sent()),
            decimals=0,
            spark=False,
        ),
        rate_tile(
            "Opened",
            "Share of sent emails that were opened, without known machines.",
            engaged("opened"),
            "benchmark_open",
            "Compare flows and messages below. Change the subject of the weak ones.",
        ),
        rate_tile(
            "Clicked",
            "Share of sent emails with a click by a person.",
            engaged("clicked"),
            "benchmark_click",
            "Compare messages below. Show the button earlier, and one goal per email.",
        ),
        rate_tile(
            "Ordered",
            "Orders after a click, per sent email.",
            happened("ordered"),
            "benchmark_order",
            "Compare flows below. Offer what the customer can use next, or a code.",
        ),
        number(
            "Unsubscribed",
            TILE,
            About(
                "Unsubscriptions per sent email.",
                "Below 0.5 %.",
                "See the flow with the most of them below. Send it less often, or to fewer customers.",
            ),
            "percent",
            Query(percent(happened("unsubscribed"), sent())),
            steps=((None, GREEN), (0.5, YELLOW), (1, RED)),
            decimals=2,
            spark=False,
            missing="nothing sent",
        ),
        number(
            "Reported as spam",
            TILE,
            About(
                "Complaints per sent email.",
                "Below 0.1 %. Gmail and Yahoo block senders above 0.3 %.",
                "Pause the flow with the most complaints.",
                ("TakkComplaintRateHigh",),
            ),
            "percent",
            Query(percent(happened("complained"), sent())),
            steps=((None, GREEN), (0.1, YELLOW), (0.3, RED)),
            decimals=2,
            spark=False,
            missing="nothing sent",
        ),
        number(
            "Attributed revenue",
            TILE,
            About(
                "Revenue of orders that customers placed after a click, within the attribution window, by currency.",
                "It grows with the clicks.",
                "No revenue with many clicks: see whether the shop reports its orders with the customer's id.",
            ),
            "locale",
            Query(f"({revenue('takk_attributed_revenue_minor_total', 'currency')}) > 0", "{{currency}}"),
            decimals=0,
            spark=False,
            missing="none yet",
        ),
    ]


def trend(title: str, kind: str, part: str, benchmark: str, action: str) -> model.Panel:
    """Return a rate over time beside its benchmark."""
    return graph(
        title,
        CELL,
        About(
            f"Emails {kind} per email sent, over the last 24 hours at each moment, beside the benchmark.",
            "The line is near the benchmark or above it. It jumps while few emails are sent.",
            action,
        ),
        "percent",
        Query(percent(part, sent(window=DAY)), "your shop"),
        Query(f"vector(${benchmark})", "benchmark"),
        dashed=("benchmark",),
    )


def trends() -> list[model.Panel]:
    """Return the rates over time."""
    return [
        trend(
            "Opened over time",
            "opened",
            engaged("opened", window=DAY),
            "benchmark_open",
            "A fall of all flows at once: emails arrive in the spam folder. See the providers on the dashboard of emails.",
        ),
        trend(
            "Clicked over time",
            "clicked",
            engaged("clicked", window=DAY),
            "benchmark_click",
            "A fall after a change of a flow: compare with the version before. The vertical lines are flow versions.",
        ),
        trend(
            "Ordered over time",
            "that led to an order",
            happened("ordered", window=DAY),
            "benchmark_order",
            "A fall with steady clicks: look at the shop, not at the emails.",
        ),
    ]


def comparison(title: str, by: str, first: tuple[Column, ...]) -> model.Panel:
    """Return a table of all rates, one row per value of the labels `by`."""
    good = ((None, RED), (-20, YELLOW), (0, GREEN))

    def against(part: str, benchmark: str) -> str:
        return f"100 * ({percent(part, sent(by))} / ${benchmark} - 1)"

    return rows(
        title,
        Size(24, 8),
        About(
            "Everything about each row within the time range. The columns with ± are the distance to the benchmark: "
            "+10 % means a tenth better than the benchmark.",
            "Green and yellow cells.",
            "Start with the row that sends most and is red.",
        ),
        "locale",
        (
            *first,
            Column("Value #A", "Sent", "locale", decimals=0),
            Column("Value #B", "Opened", "percent", decimals=1),
            Column("Value #C", "± opened", "percent", good, decimals=0),
            Column("Value #D", "Clicked", "percent", decimals=2),
            Column("Value #E", "± clicked", "percent", good, decimals=0),
            Column("Value #F", "Ordered", "percent", decimals=2),
            Column("Value #G", "± ordered", "percent", good, decimals=0),
            Column("Value #H", "Unsubscribed", "percent", ((None, GREEN), (0.5, YELLOW), (1, RED)), decimals=2),
            Column("Value #I", "Complained", "percent", ((None, GREEN), (0.1, YELLOW), (0.3, RED)), decimals=2),
        ),
        Query(sent(by), instant=True),
        Query(percent(engaged("opened", by), sent(by)), instant=True),
        Query(against(engaged("opened", by), "benchmark_open"), instant=True),
        Query(percent(engaged("clicked", by), sent(by)), instant=True),
        Query(against(engaged("clicked", by), "benchmark_click"), instant=True),
        Query(percent(happened("ordered", by), sent(by)), instant=True),
        Query(against(happened("ordered", by), "benchmark_order"), instant=True),
        Query(percent(happened("unsubscribed", by), sent(by)), instant=True),
        Query(percent(happened("complained", by), sent(by)), instant=True),
        sort=("Sent", True),
        missing="nothing sent",
    )


SCREEN: Final = Screen(
    "takk-engagement",
    "Engagement",
    "What was sent, read, clicked and bought, per flow and message, beside the benchmarks?",
    (
        Row("", numbers()),
        Row("Over time", trends()),
        Row(
            "By flow and message",
            (
                comparison(
                    "Flows",
                    "flow",
                    (Column("flow", "Flow", link=flow_url("takk-engagement")),),
                ),
                comparison(
                    "Messages",
                    "flow, message",
                    (Column("flow", "Flow"), Column("message", "Message")),
                ),
            ),
        ),
        Row("People and machines", machines()),
        Row("Orders and unsubscriptions", orders()),
    ),
    variables=("shop", "flow"),
    inputs=BENCHMARKS,
    since="now-7d",
    refresh="5m",  # each read covers days
)
