"""The panels of one stage, which are the same for each stage."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import RED, YELLOW
from deploy.grafana.builder.panels import About, Query, Size, graph
from deploy.grafana.builder.promql import age, increase, largest, quantile, rate, series, total

CELL: Final = Size(4, 7)
#: The stages with their work, in the order in which a record passes through them.
STAGES: Final = {
    "flows": "decides which emails follow from the events of the shop",
    "scheduler": "stores timers and fires them when they are due",
    "popularity": "counts sales for recommendations",
    "catalogue": "finds the customers whom changes of products concern",
    "pools": "gives discount codes from code pools to customers",
    "suppressions": "keeps what each email address must not get",
    "mailer": "renders emails and hands them to the mail server",
}
#: Kafka keeps the records of a stage while it is stuck.
SAFE: Final = "No record is lost while a stage waits."


def _above_0_and_all(expression: str, label: str) -> str:
    """Return the sums above 0 per value of `label`, and their total as the value `all`. Zeros would hide the others in a legend."""
    return f'({total(expression, label)} > 0) or label_replace({total(expression)}, "{label}", "all", "", "")'


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
                "Reads at 0 while records wait: the stage is stuck. Reads at 0 without waiting records: nothing arrives. "
                "A sudden step that does not follow from the trade of the shop: an import, or one customer with very many events.",
                ("TakkCustomerFloods",),
            ),
            "recps",
            Query(total(rate("takk_records_in_total", stage=name), "topic"), "read {{topic}}"),
            Query(total(rate("takk_records_out_total", stage=name), "topic"), "written {{topic}}"),
            missing=idle,
        ),
        graph(
            f"Errors of {name}",
            CELL,
            About(
                f"Dead letters of the stage {name} within 5 minutes, by reason. The reason `failed` is an error of Takk.",
                "0.",
                "They began where the line leaves 0, and ended 5 minutes before it returns to 0. The runbook says whether a replay helps.",
                ("TakkDeadLetters",),
            ),
            "short",
            Query(_above_0_and_all(increase("takk_dead_letters_total", window="5m", stage=name), "reason"), "{{reason}}"),
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
                ("TakkLagHigh", "TakkPartitionStuck", "TakkCustomerFloods"),
            ),
            "short",
            Query(largest(series("takk_lag_records", stage=name), "partition"), "{{partition}}"),
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
            Query(largest(series("takk_lag_seconds", stage=name), "partition"), "{{partition}}"),
            steps=((None, "transparent"), (60, YELLOW), (300, RED)),
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
                age(largest(series("takk_last_progress_timestamp_seconds", stage=name), "partition")),
                "{{partition}}",
            ),
            steps=((None, "transparent"), (120, RED)),
            missing=idle,
        ),
    ]  # fmt: skip
