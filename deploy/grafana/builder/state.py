"""State on disk, its standbys, and restores after a restart."""

from __future__ import annotations

from typing import Final

from deploy.grafana.builder.colors import BLUE, GREEN, RED, YELLOW, ZERO_IS_GOOD
from deploy.grafana.builder.panels import About, Query, Size, bar_chart, graph, number, timeline
from deploy.grafana.builder.promql import STAGE, increase, rate, series, total
from deploy.grafana.builder.screen import Row, Screen

TILE: Final = Size(6, 4)
DISK_STEPS: Final = ((None, RED), (0.1, YELLOW), (0.4, GREEN))

SCREEN: Final = Screen(
    "takk-state",
    "State and restore",
    "How large is the state, does a restore advance, and is there space on the disk?",
    (
        Row(
            "",
            (
                number(
                    "Processes not ready",
                    TILE,
                    About(
                        "Processes that do not work yet, because they restore state or wait for their partitions.",
                        "0, except for some minutes after a start.",
                        "See the progress of the restore below. If it does not advance, follow the runbook.",
                        ("TakkRestoreStuck",),
                    ),
                    "none",
                    Query(total(f"1 - {series('takk_ready')}")),
                    steps=ZERO_IS_GOOD,
                    words={"0": ("all ready", GREEN)},
                    spark=False,
                ),
                number(
                    "Time left to restore",
                    TILE,
                    About(
                        "Estimated time until the slowest running restore is done.",
                        "0, because no restore runs.",
                        "Wait for it. Partitions of this process stand still until then, and nothing is lost.",
                        ("TakkRestoreStuck",),
                    ),
                    "s",
                    Query(f"max({series('takk_restore_left_seconds', STAGE)})"),
                    steps=((None, GREEN), (1, YELLOW), (600, RED)),
                    spark=False,
                ),
                number(
                    "State on disk",
                    TILE,
                    About(
                        "Size of the tables of all stages on disk, with recent writes in memory, without standbys.",
                        "Some kB per customer. It grows with the number of customers.",
                        "A sudden drop means that a process owns fewer partitions or lost its disk.",
                    ),
                    "bytes",
                    Query(total(series("takk_state_bytes", STAGE))),
                    steps=((None, BLUE),),
                ),
                number(
                    "Least free disk",
                    TILE,
                    About(
                        "Free share of the fullest volume with state.",
                        "Above 40 %.",
                        "Enlarge the volume. A process whose disk is full stops, and its partitions move.",
                        ("TakkDiskFilling", "TakkDiskAlmostFull"),
                    ),
                    "percentunit",
                    Query(f"min({series('takk_disk_free_bytes')} / {series('takk_disk_size_bytes')})"),
                    steps=DISK_STEPS,
                    decimals=0,
                ),
            ),
        ),
        Row(
            "Restore",
            (
                timeline(
                    "Readiness",
                    Size(8, 7),
                    About(
                        "One band per process: green while it works, red while it restores or waits for partitions.",
                        "Green.",
                        "A long red band after a start is a long restore. More standbys shorten it.",
                        ("TakkRestoreStuck",),
                    ),
                    "bool_yes_no",
                    Query(f"max by (instance) ({series('takk_ready')})", "{{instance}}"),
                    steps=((None, RED), (1, GREEN)),
                ),
                graph(
                    "Progress of the last restore",
                    Size(8, 7),
                    About(
                        "Restored share of the changelog, by process and stage. It has no line before the first restore.",
                        "It rises to 100 % and stays there.",
                        "A flat line below 100 %: the restore is stuck. See whether Kafka answers and the disk has space.",
                        ("TakkRestoreStuck",),
                    ),
                    "percentunit",
                    Query(
                        f"min by (instance, stage) ({series('takk_restore_progress_ratio', STAGE)})",
                        "{{instance}} {{stage}}",
                    ),
                    maximum=1,
                    missing="no restore has run",
                ),
                graph(
                    "Speed of restores",
                    Size(8, 7),
                    About(
                        "Changelog offsets that running restores read per second, and records that they stored.",
                        "0 without a restore. During one, some 10,000 per second and process.",
                        "Slow: the disk or the network is the limit.",
                        see="takk-resources",
                    ),
                    "cps",
                    Query(total(series("takk_restore_offsets_per_second", STAGE), "stage"), "offsets, {{stage}}"),
                    Query(total(rate("takk_restored_records_total", STAGE), "stage"), "records, {{stage}}"),
                ),
                graph(
                    "Time of restores",
                    Size(12, 6),
                    About(
                        "Mean time to restore the partitions of one assignment, over an hour. It has no line without a restore.",
                        "Some seconds with a standby, some minutes without one.",
                        "Long restores after each deployment: keep the disks across restarts, and use standbys.",
                    ),
                    "s",
                    Query(
                        f"{total(increase('takk_restore_seconds_sum', STAGE, window='1h'), 'stage')}"
                        f" / {total(increase('takk_restore_seconds_count', STAGE, window='1h'), 'stage')}",
                        "{{stage}}",
                    ),
                ),
                graph(
                    "Lag of standbys",
                    Size(12, 6),
                    About(
                        "Changelog offsets by which the standbys of each process are behind.",
                        "Below 1,000.",
                        "A standby that is far behind shortens no takeover. See whether its process has CPU and disk.",
                        ("TakkStandbyLag",),
                        see="takk-resources",
                    ),
                    "short",
                    Query(total(series("takk_standby_lag_offsets"), "instance"), "{{instance}}"),
                    steps=((None, "transparent"), (100_000, RED)),
                ),
                graph(
                    "Damage and loss",
                    Size(24, 6),
                    About(
                        "Damaged stores that were moved away and restored, errors that interrupted standbys, and offsets of input topics that"
                        " Kafka deleted before they were read. Per hour.",
                        "0.",
                        "A damaged store points to a failing disk. Lost records: follow the runbook.",
                        ("TakkRecordsLost",),
                    ),
                    "short",
                    Query(
                        total(increase("takk_state_quarantined_total", STAGE, window="1h"), "stage"),
                        "damaged stores, {{stage}}",
                    ),
                    Query(
                        total(increase("takk_standby_errors_total", window="1h"), "instance"), "standbys, {{instance}}"
                    ),
                    Query(
                        total(increase("takk_records_lost_total", STAGE, window="1h"), "stage, topic"),
                        "lost records, {{stage}} {{topic}}",
                    ),
                    steps=((None, "transparent"), (1, RED)),
                ),
            ),
        ),
        Row(
            "Size",
            (
                graph(
                    "State by stage",
                    Size(8, 7),
                    About(
                        "Size of the tables on disk, by stage.",
                        "Slow growth. Most of it is the stage flows.",
                        "Fast growth: see whether customers receive very many events.",
                    ),
                    "bytes",
                    Query(total(series("takk_state_bytes", STAGE), "stage"), "{{stage}}"),
                    stacked=True,
                ),
                graph(
                    "State by process",
                    Size(8, 7),
                    About(
                        "Size of the tables on disk, by process, without standbys.",
                        "Processes with the same number of partitions have about the same size.",
                        "One process with far more: it took over the partitions of another one.",
                        see="takk-resources",
                    ),
                    "bytes",
                    Query(total(series("takk_state_bytes", STAGE), "instance"), "{{instance}}"),
                ),
                bar_chart(
                    "Free disk by process",
                    Size(8, 7),
                    About(
                        "Free share of the volume with state, by process.",
                        "Above 40 %.",
                        "Enlarge the volume before it is full.",
                        ("TakkDiskFilling", "TakkDiskAlmostFull"),
                    ),
                    "percentunit",
                    Query(
                        f"min by (instance) ({series('takk_disk_free_bytes')} / {series('takk_disk_size_bytes')})",
                        "{{instance}}",
                    ),
                    steps=DISK_STEPS,
                    maximum=1,
                ),
            ),
        ),
    ),
    variables=("shop", "stage", "instance"),
)
