"""The path of a record: one row per stage, in the order in which a record passes through them."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import GREEN, LAG_STEPS, RED, YELLOW, ZERO_IS_GOOD
from deploy.grafana.builder.panels import About, Query, Size, bar_chart, graph, number
from deploy.grafana.builder.promql import STAGE, increase, largest, mean, quantile, rate, series, total
from deploy.grafana.builder.screen import Row, Screen

CELL: Final = Size(4, 6)
#: The stages with what each one does.
STAGES: Final = {
    "flows": "decides which emails follow from the events of the shop",
    "scheduler": "stores timers and fires them when they are due",
    "popularity": "counts sales for recommendations",
    "pools": "gives discount codes from code pools to customers",
    "mailer": "renders emails and hands them to the mail server",
}
#: Kafka keeps the records of a stage while it is stuck.
SAFE: Final = "No record is lost while a stage waits."


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
            Query(
                f"{largest(series('takk_stage_partitions', STAGE), 'stage')}"
                f" - {total(series('takk_assigned_partitions', STAGE), 'stage')}",
                "{{stage}}",
            ),
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


def stage(name: str) -> list[model.Panel]:
    """Return the panels of one stage."""
    idle = f"no process runs the stage {name}"
    return [
        graph(
            f"Rate of {name}",
            CELL,
            About(
                f"Records per second that the stage {name} reads and writes, by topic.",
                "Reads follow the traffic of the shop. Writes follow reads.",
                "Reads at 0 while records wait: the stage is stuck. Reads at 0 without waiting records: nothing arrives.",
            ),
            "recps",
            Query(total(rate("takk_records_in_total", stage=name), "topic"), "read {{topic}}"),
            Query(total(rate("takk_records_out_total", stage=name), "topic"), "written {{topic}}"),
            legend="none",
            missing=idle,
        ),
        graph(
            f"Errors of {name}",
            CELL,
            About(
                f"Dead letters of the stage {name} within an hour, by reason. The reason `failed` is an error of Takk.",
                "0.",
                "Run `takk dead-letters list`. Correct the cause, then run `takk dead-letters replay`.",
                ("TakkDeadLetters",),
            ),
            "suffix:/h",
            Query(total(increase("takk_dead_letters_total", window="1h", stage=name), "reason"), "{{reason}}"),
            legend="none",
            missing=idle,
        ),
        graph(
            f"Duration of {name}",
            CELL,
            About(
                "Time to process a batch, and time from then to its committed transaction.",
                "Commits take less than a second.",
                "Slow batches: the process lacks CPU, or the mail server is slow. Slow commits: Kafka is slow.",
                see="takk-resources",
            ),
            "s",
            Query(quantile(0.5, "takk_batch_seconds", stage=name), "batch, median"),
            Query(quantile(0.99, "takk_batch_seconds", stage=name), "batch, 99 %"),
            Query(quantile(0.5, "takk_commit_seconds", stage=name), "commit, median"),
            Query(quantile(0.99, "takk_commit_seconds", stage=name), "commit, 99 %"),
            missing=idle,
        ),
        graph(
            f"Records waiting for {name}",
            CELL,
            About(
                f"Records that the stage {name} has not committed, one line per partition.",
                "Near 0 for each partition.",
                f"One partition alone: a customer with very many events, or a stuck partition. All partitions: the stage is too slow. {SAFE}",
                ("TakkLagHigh", "TakkPartitionStuck"),
            ),
            "short",
            Query(largest(series("takk_lag_records", stage=name), "partition"), "partition {{partition}}"),
            legend="none",
            missing=idle,
        ),
        graph(
            f"Age of records waiting for {name}",
            CELL,
            About(
                "Age of the oldest record that is not committed, one line per partition.",
                "Below a minute.",
                f"A straight rising line is a partition that does not advance. Its log lines name topic, partition and offset. {SAFE}",
                ("TakkLagHigh", "TakkPartitionStuck"),
            ),
            "s",
            Query(largest(series("takk_lag_seconds", stage=name), "partition"), "partition {{partition}}"),
            steps=((None, "transparent"), (60, YELLOW), (300, RED)),
            legend="none",
            missing=idle,
        ),
        graph(
            f"Time since {name} advanced",
            CELL,
            About(
                "Time since each partition last committed, or had no record to read.",
                "Some seconds. Partitions without records count as advanced.",
                "A rising line is a stuck partition. Its owner is the process with this partition; restart it and read its log.",
                ("TakkPartitionStuck",),
            ),
            "s",
            Query(
                f"time() - {largest(series('takk_last_progress_timestamp_seconds', stage=name), 'partition')}",
                "partition {{partition}}",
            ),
            steps=((None, "transparent"), (120, RED)),
            legend="none",
            missing=idle,
        ),
    ]  # fmt: skip


def heartbeat() -> list[model.Panel]:
    """Return the panels of the heartbeat, a record that passes through all stages."""
    return [
        graph(
            "Age of the last heartbeat",
            Size(12, 6),
            About(
                "Time since the newest heartbeat that passed through all stages was written, one line per partition.",
                "Below the interval of heartbeats, which is 15 s, plus some seconds.",
                "A rising line: this partition does not advance in some stage, even if the shop sends nothing.",
                ("TakkHeartbeatMissing",),
            ),
            "s",
            Query(
                f"time() - {largest(series('takk_heartbeat_timestamp_seconds'), 'partition')}",
                "partition {{partition}}",
            ),
            steps=((None, "transparent"), (120, RED)),
            legend="none",
        ),
        graph(
            "Travel time of the heartbeat",
            Size(12, 6),
            About(
                "Time that the newest heartbeat took through all stages, one line per partition.",
                "Some seconds.",
                "It is the time that an email would need now. The stage with the oldest waiting record is the slow one.",
                ("TakkLagHigh",),
            ),
            "s",
            Query(largest(series("takk_heartbeat_seconds"), "partition"), "partition {{partition}}"),
            steps=((None, "transparent"), (60, YELLOW), (300, RED)),
            legend="none",
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
            "short",
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
        Row("All stages", summary()),
        Row("Heartbeat through all stages", heartbeat()),
        Row("Stage flows: " + STAGES["flows"], stage("flows")),
        Row("Stage scheduler: " + STAGES["scheduler"], stage("scheduler")),
        Row("From scheduler back to flows: timers that are due", due()),
        *(Row(f"Stage {name}: {STAGES[name]}", stage(name)) for name in ("popularity", "pools", "mailer")),
    ),
    variables=("shop", "stage", "instance"),
)
