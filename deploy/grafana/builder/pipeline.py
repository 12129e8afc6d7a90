"""The path of a record: one row per stage, in the order in which a record passes through them."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import GREEN, LAG_STEPS, RED, YELLOW, ZERO_IS_GOOD
from deploy.grafana.builder.panels import About, Query, Size, bar_chart, graph, number
from deploy.grafana.builder.promql import (
    STAGE,
    age,
    increase,
    largest,
    mean,
    quantile,
    rate,
    series,
    shop_series,
    total,
)
from deploy.grafana.builder.screen import Row, Screen
from deploy.grafana.builder.stages import STAGES, stage
from deploy.grafana.builder.tables import Column, rows

PARTITIONS: Final = largest(shop_series("takk_stage_partitions", STAGE), "shop, stage")
OWNED: Final = shop_series("takk:owned_partitions:count", STAGE)


def summary() -> list[model.Panel]:
    """Return the panels about all selected stages."""
    return [
        number(
            "Partitions without an owner",
            Size(4, 6),
            About(
                "Partitions that no process works on, by stage.",
                "0, except for up to a minute while a process starts or stops.",
                "Start the missing processes. Records of these partitions wait until then.",
                ("TakkPartitionsUnowned",),
                see="takk-resources",
            ),
            "none",
            # As the alert: a partition counts once during a handover, and no shop hides another one. A selected process must not matter.
            Query(total(f"{PARTITIONS} - ({OWNED} or 0 * {PARTITIONS})", "stage"), "{{stage}}"),
            steps=ZERO_IS_GOOD,
            spark=False,
            below=True,
        ),
        bar_chart(
            "Oldest waiting record",
            Size(5, 6),
            About(
                "Age of the oldest record that each stage has not committed.",
                "Below a minute.",
                "Find the row of the stage below: it shows the partition and the cause.",
                ("TakkLagHigh",),
            ),
            "s",
            Query(largest(series("takk_lag_seconds", STAGE), "stage"), "{{stage}}"),
            steps=LAG_STEPS,
        ),
        graph(
            "Records waiting",
            Size(5, 6),
            About(
                "Records on the input topics that each stage has not committed.",
                "Near 0, with short peaks when the shop has a campaign.",
                "A line that rises for minutes means that the stage is stuck or too slow. Add processes, up to one per partition.",
                ("TakkLagHigh",),
            ),
            "short",
            Query(total(series("takk_lag_records", STAGE), "stage"), "{{stage}}"),
        ),
        graph(
            "Records per batch",
            Size(5, 6),
            About(
                "Mean number of records that a stage processes and commits together.",
                "Small while traffic is low. It grows with the load, which makes each record cheaper.",
                "A large batch together with a growing lag means that the stage works at its limit.",
            ),
            "short",
            Query(mean("takk_batch_records", STAGE, by="stage"), "{{stage}}"),
        ),
        graph(
            "Rebalances and republished records",
            Size(5, 6),
            About(
                "Assignments of partitions to processes, and records that had a wrong key or partition, within an hour.",
                "A few rebalances after a deployment, and no republished record.",
                "Many rebalances: processes leave the group; see why they restart. Republished: the shop writes records under a wrong key.",
                ("TakkRestartLoop",),
                see="takk-resources",
            ),
            "suffix:/h",
            Query(total(increase("takk_rebalances_total", window="1h"), "instance"), "rebalances, {{instance}}"),
            Query(total(increase("takk_republished_records_total", STAGE, window="1h"), "stage"), "republished, {{stage}}"),
        ),
    ]  # fmt: skip


def partitions() -> list[model.Panel]:
    """Return the table of the slowest partitions."""
    by = "stage, partition, instance"
    lag = largest(series("takk_lag_seconds", STAGE), by)
    slowest = f"topk(12, {lag})"
    same = f"and on ({by}) {slowest}"
    progress = age(largest(series("takk_last_progress_timestamp_seconds", STAGE), by))
    return [
        rows(
            "Partitions that wait longest",
            Size(24, 7),
            About(
                "The twelve partitions with the oldest waiting records, and the process that owns each of them.",
                "All are below a minute.",
                "One partition alone: it is stuck, or a customer has very many events. All partitions of one process: restart it. "
                "All partitions of a stage: the stage is too slow.",
                ("TakkPartitionStuck", "TakkLagHigh"),
                see="takk-resources",
            ),
            "s",
            (
                Column("stage", "Stage"),
                Column("partition", "Partition"),
                Column("instance", "Process"),
                Column("Value #A", "Oldest record", "s", LAG_STEPS, decimals=0),
                Column("Value #B", "Records waiting", "locale", decimals=0),
                Column("Value #C", "Since it advanced", "s", decimals=0),
            ),
            Query(slowest, instant=True),
            Query(f"{largest(series('takk_lag_records', STAGE), by)} {same}", instant=True),
            Query(f"{progress} {same}", instant=True),
            sort=("Oldest record", True),
        )
    ]


def heartbeat() -> list[model.Panel]:
    """Return the panels of the heartbeat, a record that passes through all stages."""
    return [
        graph(
            "Age of the last heartbeat",
            Size(12, 6),
            About(
                "Time since the newest heartbeat that passed through all stages was due, one line per partition. "
                "A partition has no line from a start of its mailer until the first heartbeat.",
                "Below the interval of heartbeats, which is 15 s, plus some seconds.",
                "A rising line: this partition does not advance in some stage, even if the shop sends nothing.",
                ("TakkHeartbeatMissing",),
            ),
            "s",
            Query(
                age(f"({largest(series('takk_heartbeat_timestamp_seconds'), 'partition')} > 0)"),
                "{{partition}}",
            ),
            steps=((None, "transparent"), (120, RED)),
            missing="heartbeats are off (TAKK_HEARTBEAT_S)",
        ),
        graph(
            "Travel time of the heartbeat",
            Size(12, 6),
            About(
                "Time that the newest heartbeat took through all stages, one line per partition. It does not wait behind a backlog.",
                "Below a second.",
                "Commits are slow, or a process is short of CPU. See the duration of batches and commits of each stage.",
                ("TakkLagHigh",),
            ),
            "s",
            Query(largest(series("takk_heartbeat_seconds"), "partition"), "{{partition}}"),
            steps=((None, "transparent"), (60, YELLOW), (300, RED)),
            missing="heartbeats are off (TAKK_HEARTBEAT_S)",
        ),
    ]


def due() -> list[model.Panel]:
    """Return the panels of the way from the scheduler back to the flows: due timers."""
    return [
        graph(
            "Due timers fired and read",
            Size(8, 6),
            About(
                "Timers per second that the scheduler fires, and due timers per second that the stage flows reads.",
                "Both lines are equal.",
                "The stage flows reads less than the scheduler fires: see the row of the stage flows.",
                see="takk-timers",
            ),
            "cps",
            Query(total(rate("takk_timers_fired_total")), "fired by scheduler"),
            Query(total(rate("takk_records_in_total", stage="flows", topic="flow-due")), "read by flows"),
        ),
        graph(
            "Lateness of due timers",
            Size(8, 6),
            About(
                "Time between the due time of a timer and its firing.",
                "Below a second.",
                "The scheduler is behind, or was stopped.",
                ("TakkTimersLate",),
                see="takk-timers",
            ),
            "s",
            Query(quantile(0.5, "takk_timer_lateness_seconds"), "median"),
            Query(quantile(0.99, "takk_timer_lateness_seconds"), "99 %"),
        ),
        number(
            "Due timers on the way",
            Size(8, 6),
            About(
                "Timers that the scheduler fired within the last hour and that the stage flows has not read.",
                "Near 0.",
                "The stage flows is behind. See its row.",
                ("TakkLagHigh",),
            ),
            "locale",
            Query(
                f"clamp_min({total(increase('takk_timers_fired_total', window='1h'))}"
                f" - {total(increase('takk_records_in_total', window='1h', stage='flows', topic='flow-due'))}, 0)"
            ),
            steps=((None, GREEN), (100, YELLOW), (10_000, RED)),
            decimals=0,
        ),
    ]


SCREEN: Final = Screen(
    "takk-pipeline",
    "Pipeline",
    "Which stage and which partition is behind, since when, and why?",
    (
        Row("All stages", (*summary(), *partitions())),
        Row("Heartbeat through all stages", heartbeat()),
        Row("Stage flows: " + STAGES["flows"], stage("flows")),
        Row("Stage scheduler: " + STAGES["scheduler"], stage("scheduler")),
        Row("From scheduler back to flows: timers that are due", due()),
        *(
            Row(f"Stage {name}: {STAGES[name]}", stage(name))
            for name in ("popularity", "catalogue", "pools", "suppressions", "mailer")
        ),
    ),
    variables=("shop", "stage", "instance"),
)
