"""Timers: every wait of a flow, and every retry of an email, is a timer."""

from __future__ import annotations

from typing import Final

from deploy.grafana.builder.colors import BLUE, GREEN, RED, YELLOW
from deploy.grafana.builder.panels import About, Query, Size, graph, heat_map, number
from deploy.grafana.builder.promql import RATE_WINDOW, increase, largest, quantile, rate, series, total
from deploy.grafana.builder.screen import Row, Screen

TILE: Final = Size(6, 4)
HISTOGRAM: Final = "takk_timer_lateness_seconds"

SCREEN: Final = Screen(
    "takk-timers",
    "Timers",
    "How many customers wait, and do their waits end on time?",
    (
        Row(
            "",
            (
                number(
                    "Timers pending",
                    TILE,
                    About(
                        "Timers that are stored and not yet due or fired.",
                        "About one per customer who waits in a flow. It follows the number of orders.",
                        "A sudden drop: state was lost, or many instances ended. A drop to 0: the scheduler owns no partition.",
                        see="takk-state",
                    ),
                    "short",
                    Query(total(series("takk_timers_pending"))),
                    steps=((None, BLUE),),
                ),
                number(
                    "Timers late, last hour",
                    TILE,
                    About(
                        "Share of timers that fired more than a minute after their due time, within the last hour.",
                        "0 %.",
                        "The scheduler was stopped or is behind. It fires all late timers once it runs; none is lost.",
                        ("TakkTimersLate",),
                        see="takk-pipeline",
                    ),
                    "percentunit",
                    Query(
                        f"1 - {total(increase(f'{HISTOGRAM}_bucket', window='1h', le='60.0'))}"
                        f" / ({total(increase(f'{HISTOGRAM}_count', window='1h'))} > 0)"
                    ),
                    steps=((None, GREEN), (0.01, YELLOW), (0.05, RED)),
                    decimals=1,
                    missing="no timer fired",
                ),
                number(
                    "Timers stored, last hour",
                    TILE,
                    About(
                        "Timers that flows and the mailer scheduled within the last hour. Heartbeats are timers too.",
                        "It follows the orders of the shop, above some 240 heartbeats per partition.",
                        "Only heartbeats while orders arrive: see the stage flows.",
                        see="takk-pipeline",
                    ),
                    "locale",
                    Query(total(increase("takk_timers_stored_total", window="1h"))),
                    decimals=0,
                ),
                number(
                    "Timers fired, last hour",
                    TILE,
                    About(
                        "Timers that fired within the last hour. Heartbeats are timers too.",
                        "Over days it is about the number of stored timers.",
                        "0 while timers are pending and due: see the stage scheduler.",
                        see="takk-pipeline",
                    ),
                    "locale",
                    Query(total(increase("takk_timers_fired_total", window="1h"))),
                    decimals=0,
                ),
            ),
        ),
        Row(
            "Lateness",
            (
                graph(
                    "Lateness",
                    Size(12, 8),
                    About(
                        "Time between the due time of a timer and its firing.",
                        "Below a second.",
                        "After a stop of the scheduler the line starts high and falls as it catches up. "
                        "A line that stays high means that it is too slow.",
                        ("TakkTimersLate",),
                        see="takk-pipeline",
                    ),
                    "s",
                    Query(quantile(0.5, HISTOGRAM), "median"),
                    Query(quantile(0.9, HISTOGRAM), "90 %"),
                    Query(quantile(0.99, HISTOGRAM), "99 %"),
                    steps=((None, "transparent"), (60, RED)),
                    legend="table",
                ),
                heat_map(
                    "Distribution of lateness",
                    Size(12, 8),
                    About(
                        "Timers by lateness. A darker cell has more timers.",
                        "All timers are in the lowest cells.",
                        "Two separate bands mean that one partition is late. All cells high mean that the scheduler is late.",
                        ("TakkTimersLate",),
                    ),
                    "s",
                    Query(total(f"increase({series(f'{HISTOGRAM}_bucket')}[{RATE_WINDOW}])", "le"), "{{le}}"),
                ),
            ),
        ),
        Row(
            "Flow of timers",
            (
                graph(
                    "Stored and fired",
                    Size(12, 8),
                    About(
                        "Timers per second that are stored and fired.",
                        "Stored timers follow the orders. Fired timers follow them after the waits of the flows.",
                        "A peak of fired timers is a peak of emails: see whether the mail server keeps up.",
                        see="takk-mail",
                    ),
                    "cps",
                    Query(total(rate("takk_timers_stored_total")), "stored"),
                    Query(total(rate("takk_timers_fired_total")), "fired"),
                ),
                graph(
                    "Pending by partition",
                    Size(12, 8),
                    About(
                        "Timers that are stored and not yet fired, one line per partition.",
                        "The lines are close together, since customers are spread evenly.",
                        "A line that only rises while others are flat: this partition does not fire timers.",
                        ("TakkPartitionStuck",),
                        see="takk-pipeline",
                    ),
                    "short",
                    Query(largest(series("takk_timers_pending"), "partition"), "partition {{partition}}"),
                    legend="none",
                ),
            ),
        ),
        Row(
            "Walks of campaigns and backfills",
            (
                graph(
                    "Customers left",
                    Size(12, 8),
                    About(
                        "Stored customers that the walks of campaigns and backfills have still to visit, estimated.",
                        "0, and for some minutes around the moment of a campaign a line that falls.",
                        "A line that does not fall: a partition does not advance. A slow fall: raise `TAKK_WALK_RATE`.",
                        see="takk-pipeline",
                    ),
                    "short",
                    Query(total(series("takk_walk_left")), "left"),
                ),
                graph(
                    "Visited and started",
                    Size(12, 8),
                    About(
                        "Customers per second that walks visit, those who get a timer, and those about whom a walk fails.",
                        "Failures are 0. The share that gets a timer is that of the segment among all customers.",
                        "Failures: a condition raises an error for some customers. The log of the worker has it.",
                        see="takk-pipeline",
                    ),
                    "cps",
                    Query(total(rate("takk_walk_visits_total")), "visited"),
                    Query(total(rate("takk_walk_starts_total")), "scheduled"),
                    Query(total(rate("takk_walk_failures_total")), "failed"),
                ),
            ),
        ),
    ),
)
