"""Processes: CPU, memory, disk, restarts, and the catalogue that the mailers hold in memory."""

from __future__ import annotations

from typing import Final

from deploy.grafana.builder.colors import BLUE, GREEN, RED, YELLOW
from deploy.grafana.builder.panels import About, Query, Size, bar_chart, graph, number
from deploy.grafana.builder.promql import JOB, age, increase, largest, rate, series, total
from deploy.grafana.builder.screen import Row, Screen
from deploy.grafana.builder.tables import Column, rows

TILE: Final = Size(6, 4)
CELL: Final = Size(8, 7)
QUARTER: Final = Size(6, 7)

SCREEN: Final = Screen(
    "takk-resources",
    "Resources",
    "Do the processes have enough CPU, memory and disk, and do they restart?",
    (
        Row(
            "",
            (
                number(
                    "Processes up",
                    TILE,
                    About(
                        "Processes that Prometheus reaches.",
                        "All that you started.",
                        "Start the missing ones, and read the last lines of their logs.",
                        ("TakkTargetDown", "TakkTargetMissing"),
                    ),
                    "none",
                    Query(total(series("up", JOB), "role"), "{{role}}"),
                    steps=((None, RED), (1, GREEN)),
                    spark=False,
                ),
                number(
                    "Restarts, last hour",
                    TILE,
                    About(
                        "Starts of processes within the last hour.",
                        "0, or one per process after a deployment.",
                        "A failed commit ends a process on purpose. If it happens again, read the fatal line of its log.",
                        ("TakkRestartLoop",),
                    ),
                    "none",
                    Query(total(f"changes({series('process_start_time_seconds', JOB)}[1h])")),
                    steps=((None, GREEN), (1, YELLOW), (4, RED)),
                ),
                number(
                    "Longest delay of an event loop",
                    TILE,
                    About(
                        "Delay of the slowest event loop: how late its last check ran.",
                        "Some milliseconds.",
                        "Above a second the process lacks CPU. At 30 s its liveness check fails.",
                        ("TakkLoopBlocked",),
                    ),
                    "s",
                    Query(largest(series("takk_loop_lag_seconds"))),
                    steps=((None, GREEN), (0.2, YELLOW), (1, RED)),
                ),
                number(
                    "Least free disk",
                    TILE,
                    About(
                        "Free share of the fullest volume with state.",
                        "Above 40 %.",
                        "Enlarge the volume.",
                        ("TakkDiskFilling", "TakkDiskAlmostFull"),
                        see="takk-state",
                    ),
                    "percentunit",
                    Query(f"min({series('takk_disk_free_bytes')} / {series('takk_disk_size_bytes')})"),
                    steps=((None, RED), (0.1, YELLOW), (0.4, GREEN)),
                    decimals=0,
                ),
            ),
        ),
        Row(
            "Processes",
            (
                rows(
                    "Processes",
                    Size(20, 6),
                    About(
                        "Each process with its version, its age, and what it uses now.",
                        "All have the same version, and about the same age and load.",
                        "Two versions at a time are normal during a deployment only. A young process has restarted.",
                        ("TakkRestartLoop", "TakkTargetDown", "TakkNotMember"),
                    ),
                    "none",
                    (
                        Column("instance", "Process"),
                        Column("role", "Role"),
                        Column("version", "Version"),
                        Column("Value #B", "Up", "bool_yes_no", ((None, RED), (1, GREEN))),
                        Column("Value #C", "Ready", "bool_yes_no", ((None, YELLOW), (1, GREEN))),
                        Column("Value #D", "Age", "s", decimals=0),
                        Column("Value #E", "CPU cores", "none", decimals=2),
                        Column("Value #F", "Memory", "bytes", decimals=0),
                        Column("Value #G", "Partitions", "none", decimals=0),
                        Column("Value #H", "Taking over", "none", decimals=0),
                        Column("Value #I", "Member", "bool_yes_no", ((None, RED), (1, GREEN))),
                        Column("Value #J", "Since it advanced", "s", decimals=0),
                    ),
                    Query(f"max by (instance, role, version) ({series('takk_build_info')})", instant=True),
                    Query(f"max by (instance, role) ({series('up', JOB)})", instant=True),
                    Query(f"max by (instance, role) ({series('takk_ready')})", instant=True),
                    Query(age(f"max by (instance, role) ({series('process_start_time_seconds', JOB)})"), instant=True),
                    Query(
                        f"max by (instance, role) (rate({series('process_cpu_seconds_total', JOB)}[5m]))", instant=True
                    ),
                    Query(f"max by (instance, role) ({series('process_resident_memory_bytes', JOB)})", instant=True),
                    Query(f"sum by (instance, role) ({series('takk_assigned_partitions')})", instant=True),
                    Query(f"max by (instance, role) ({series('takk_restoring_partitions')})", instant=True),
                    Query(f"max by (instance, role) ({series('takk_member')})", instant=True),
                    Query(
                        age(f"min by (instance, role) ({series('takk_stage_progress_timestamp_seconds')})"),
                        instant=True,
                    ),
                    sort=("Process", False),
                ),
                number(
                    "Templates in use",
                    Size(4, 6),
                    About(
                        "Different flows, rules and consent policies that the workers of one shop have loaded, by their hash.",
                        "1, and 2 while new templates roll out.",
                        "Restart the workers with the older templates. Customers in newer flows wait until then.",
                        ("TakkFlowsDiffer",),
                        see="takk-mail",
                    ),
                    "none",
                    Query(f"max(count by (shop) (group by (shop, hash) ({series('takk_flows_info')})))"),
                    steps=((None, GREEN), (2, YELLOW), (3, RED)),
                ),
                graph(
                    "CPU",
                    QUARTER,
                    About(
                        "CPU cores that each process uses.",
                        "Below one core, since Python code runs on one core at a time.",
                        "A process at one core is at its limit. Add processes, up to one per partition.",
                        see="takk-pipeline",
                    ),
                    "none",
                    Query(rate("process_cpu_seconds_total", JOB), "{{instance}}"),
                    steps=((None, "transparent"), (1, YELLOW)),
                ),
                graph(
                    "Memory",
                    QUARTER,
                    About(
                        "Resident memory of each process.",
                        "Flat after the first hour.",
                        "Steady growth for days is a leak: restart the process, and report it.",
                    ),
                    "bytes",
                    Query(series("process_resident_memory_bytes", JOB), "{{instance}}"),
                ),
                graph(
                    "Partitions owned",
                    QUARTER,
                    About(
                        "Partitions that each process owns, over all stages.",
                        "Processes of one role own about the same number.",
                        "A drop to 0 means that the process left its group.",
                        ("TakkPartitionsUnowned",),
                        see="takk-pipeline",
                    ),
                    "none",
                    Query(total(series("takk_assigned_partitions"), "instance"), "{{instance}}"),
                    stacked=True,
                ),
                graph(
                    "Renderers",
                    QUARTER,
                    About(
                        "Renderer processes of each mailer that are ready, and how many of them render at a time on average.",
                        "Fewer render than are ready.",
                        "All render while emails wait: raise `TAKK_MAIL_RENDERERS` if processors are free, or add mailers.",
                        see="takk-mail",
                    ),
                    "none",
                    Query(rate("takk_renderer_busy_seconds_total"), "rendering, {{instance}}"),
                    Query(series("takk_renderers"), "ready, {{instance}}"),
                ),
                graph(
                    "Event loop delay",
                    CELL,
                    About(
                        "Delay of each event loop: how late its last check ran. One is due every second.",
                        "Some milliseconds.",
                        "Long delays make Kafka remove the process from its group. Give it more CPU.",
                        ("TakkLoopBlocked",),
                    ),
                    "s",
                    Query(series("takk_loop_lag_seconds"), "{{instance}}"),
                    steps=((None, "transparent"), (1, RED)),
                ),
                graph(
                    "File descriptors",
                    CELL,
                    About(
                        "Used share of the file descriptors that each process may open.",
                        "Below 50 %.",
                        "Raise the limit of open files. RocksDB opens many files while state is large.",
                    ),
                    "percentunit",
                    Query(f"{series('process_open_fds', JOB)} / {series('process_max_fds', JOB)}", "{{instance}}"),
                    steps=((None, "transparent"), (0.8, RED)),
                    maximum=1,
                ),
                graph(
                    "Restarts",
                    CELL,
                    About(
                        "Starts of each process within an hour, and of the renderer processes of each mailer.",
                        "One after a deployment, and none of renderers.",
                        "More than three within half an hour: the process ends again and again. Read the fatal line of its log. "
                        "Renderers: look for `a renderer process ended` in the log of the mailer; out of memory is the usual cause.",
                        ("TakkRestartLoop",),
                    ),
                    "suffix:/h",
                    Query(f"changes({series('process_start_time_seconds', JOB)}[1h])", "{{instance}}"),
                    Query(
                        total(increase("takk_renderer_restarts_total", window="1h"), "instance, reason"),
                        "renderer of {{instance}} {{reason}}",
                    ),
                ),
                graph(
                    "Garbage collections",
                    CELL,
                    About(
                        "Collections per second of Python's garbage collector, by generation.",
                        "Few, in generation 2 hardly any.",
                        "Many collections of generation 2 cost CPU: the process holds many objects.",
                    ),
                    "cps",
                    Query(total(rate("python_gc_collections_total", JOB), "generation"), "generation {{generation}}"),
                ),
                graph(
                    "Objects that the collector frees",
                    CELL,
                    About(
                        "Objects per second that the garbage collector frees, and those that it cannot free.",
                        "None is uncollectable.",
                        "Uncollectable objects are a leak: report them.",
                    ),
                    "cps",
                    Query(total(rate("python_gc_objects_collected_total", JOB), "instance"), "freed, {{instance}}"),
                    Query(
                        total(rate("python_gc_objects_uncollectable_total", JOB), "instance"),
                        "uncollectable, {{instance}}",
                    ),
                ),
                bar_chart(
                    "Free disk by process",
                    CELL,
                    About(
                        "Free space on the volume with state, by process.",
                        "More than the state needs for a month.",
                        "Enlarge the volume.",
                        ("TakkDiskFilling", "TakkDiskAlmostFull"),
                        see="takk-state",
                    ),
                    "bytes",
                    Query(f"min by (instance) ({series('takk_disk_free_bytes')})", "{{instance}}"),
                ),
            ),
        ),
        Row(
            "Templates",
            (
                number(
                    "Not the published templates",
                    CELL,
                    About(
                        "Processes that do not use the published version of the templates folder, by role.",
                        "0, and more for some seconds after a publication.",
                        "Read the log of the process: its files have not arrived, or it refuses them.",
                        ("TakkTemplatesOutdated",),
                        see="takk-mail",
                    ),
                    "none",
                    Query(
                        f"count by (role) ({series('takk_templates_published')})"
                        f" - sum by (role) ({series('takk_templates_published')})",
                        "{{role}}",
                    ),
                    steps=((None, GREEN), (1, YELLOW)),
                ),
                graph(
                    "Versions of templates",
                    CELL,
                    About(
                        "Processes that use each version of the templates folder.",
                        "One version, and two for some seconds after a publication.",
                        "Two versions for long: distribute the folder to all processes.",
                        ("TakkTemplatesOutdated",),
                    ),
                    "none",
                    Query(f"count by (version) ({series('takk_templates_info')})", "{{version}}"),
                    stacked=True,
                ),
                graph(
                    "Refused templates",
                    CELL,
                    About(
                        "Published versions that processes refused, by reason.",
                        "None.",
                        "Invalid: correct the errors in the log. Restart: restart the processes one by one.",
                        ("TakkTemplatesOutdated",),
                    ),
                    "none",
                    Query(
                        total(increase("takk_templates_refused_total", window="1h"), "role, reason"),
                        "{{role}}, {{reason}}",
                    ),
                ),
            ),
        ),
        Row(
            "Catalogue for recommendations",
            (
                number(
                    "Products known",
                    Size(6, 6),
                    About(
                        "Products in the catalogue, and products with sales counts, as the mailers hold them.",
                        "The catalogue has the products of the shop. Products with sales are fewer.",
                        "0 products: the catalogue is empty or was not read. Emails leave without recommendations.",
                        ("TakkCatalogueStale",),
                    ),
                    "short",
                    Query(largest(series("takk_catalogue_products")), "catalogue"),
                    Query(largest(series("takk_popularity_products")), "with sales"),
                    steps=((None, BLUE),),
                    spark=False,
                ),
                graph(
                    "Age of the catalogue",
                    Size(6, 6),
                    About(
                        "Time since each mailer last read the catalogue and the sales counts to their end. "
                        "A mailer that has not needed the catalogue has no line.",
                        "Below a minute.",
                        "Recommendations are out of date. See whether the mailer can read from Kafka.",
                        ("TakkCatalogueStale",),
                    ),
                    "s",
                    Query(
                        age(f"max by (instance) ({series('takk_catalogue_read_timestamp_seconds')} > 0)"),
                        "{{instance}}",
                    ),
                    steps=((None, "transparent"), (600, RED)),
                    missing="no email needed it so far",
                ),
                graph(
                    "Invalid records of the catalogue",
                    Size(6, 6),
                    About(
                        "Records of products and sales counts that a mailer refused since its start, by reason. "
                        "After a restart, a mailer reads and counts the same records again.",
                        "0.",
                        "These products are missing from recommendations. Correct them in the shop system. A step upwards: new records.",
                        ("TakkCatalogueRefused",),
                    ),
                    "short",
                    # Every mailer reads the whole catalogue, so the maximum counts a record once.
                    Query(largest(series("takk_catalogue_refused_total"), "topic, reason"), "{{topic}}: {{reason}}"),
                    legend="none",
                ),
                graph(
                    "Changes by which flows start",
                    Size(6, 6),
                    About(
                        "Products per hour that are back in stock, cost less, or replace an older one, as workers notice them.",
                        "A few per hour. Without a flow that starts by such a change there is no line.",
                        "Many at once: the shop has written its whole catalogue with other values. Customers may get many emails.",
                    ),
                    "short",
                    Query(total(increase("takk_product_changes_total", window="1h"), "kind"), "{{kind}}"),
                    missing="no flow starts by a change",
                ),
            ),
        ),
    ),
)
