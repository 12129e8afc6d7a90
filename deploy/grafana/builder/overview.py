"""The first screen: whether all is well, and if not, where to look."""

from __future__ import annotations

from typing import Final

from deploy.grafana.builder.colors import BLUE, GREEN, LAG_STEPS, RED, YELLOW, ZERO_IS_GOOD
from deploy.grafana.builder.links import runbook_url
from deploy.grafana.builder.mail_numbers import MAIL_SERVER_STATES, mail_server_state
from deploy.grafana.builder.panels import About, Query, Size, graph, number, timeline
from deploy.grafana.builder.promql import FLOW, JOB, RATE_WINDOW, age, largest, shop_series, total
from deploy.grafana.builder.screen import Row, Screen
from deploy.grafana.builder.stages import STAGES
from deploy.grafana.builder.tables import Column, rows

SLOS: Final = {
    "handover": "Due emails on time",
    "order_email": "Order confirmations on time",
    "dead_letters": "Records without dead letter",
    "in_doubt": "Sends without doubt",
    "withdrawals": "Withdrawals in time",
}
FIRING_ALERTS: Final = shop_series("ALERTS", alertname="~Takk.*", alertstate="firing")
ALERT_TIMES: Final = shop_series("ALERTS_FOR_STATE", alertname="~Takk.*")
HEARTBEATS: Final = shop_series("takk_heartbeat_timestamp_seconds")
TILE: Final = Size(3, 4)
#: For a tile with a short title and value.
SMALL_TILE: Final = Size(2, 4)


def _late(buckets: str) -> str:
    """Return the 99 % quantile of a histogram over all processes of the shop."""
    return f"histogram_quantile(0.99, sum by (le) (rate({shop_series(buckets)}[{RATE_WINDOW}])))"


DOWN = number(
    "Processes down",
    SMALL_TILE,
    About(
        "Processes that Prometheus cannot reach.",
        "All are up.",
        "Restart the process. Its partitions move to the other processes, which takes up to a minute.",
        ("TakkTargetDown", "TakkTargetMissing"),
        see="takk-resources",
    ),
    "none",
    Query(total(f"1 - {shop_series('up', JOB)}")),
    steps=ZERO_IS_GOOD,
    words={"0": ("all up", GREEN)},
    spark=False,
)
ALERTS = number(
    "Alerts firing",
    SMALL_TILE,
    About("Alerts of Takk that fire now.", "None.", "Open the runbook of each alert in the table of alerts."),
    "none",
    # ALERTS has no series while no alert fires.
    Query(f"count({FIRING_ALERTS}) or vector(0)"),
    steps=ZERO_IS_GOOD,
    words={"0": ("none", GREEN)},
    spark=False,
)
SERVERS = number(
    "Kafka and mail server",
    TILE,
    About(
        "Whether every process reaches Kafka and the schema registry, and every mailer the mail server. "
        "Slow: the mail server takes more than a second per email, within 2 minutes.",
        "All answer.",
        "Down: records and emails wait. Check the server that is down, its certificate and its password. "
        "Slow: emails wait, and expire if they wait too long.",
        ("TakkKafkaUnreachable", "TakkRegistryUnavailable", "TakkMailServerDown", "TakkMailServerSlow"),
        see="takk-mail",
    ),
    "none",
    # Between two attempts to connect, the gauge may be 0 for some seconds.
    Query(largest(f"max_over_time({shop_series('takk_kafka_unreachable')}[1m])"), "Kafka"),
    Query(largest(f"max_over_time({shop_series('takk_registry_unavailable')}[1m])"), "registry"),
    Query(mail_server_state(largest(shop_series("takk_smtp_paused"))), "mail server"),
    steps=ZERO_IS_GOOD,
    words=MAIL_SERVER_STATES,
    spark=False,
    below=True,
)
LAG = number(
    "Oldest waiting record",
    TILE,
    About(
        "Age of the oldest record that a stage has not committed, over all partitions.",
        "Below a minute.",
        "The bands below show the stage. The pipeline dashboard shows the partition.",
        ("TakkLagHigh", "TakkPartitionStuck"),
        see="takk-pipeline",
    ),
    "s",
    Query(largest(shop_series("takk:lag_seconds:max"))),
    steps=LAG_STEPS,
    decimals=0,
)
SENT = number(
    "Orders and emails, last hour",
    TILE,
    About(
        "Order events that the stage flows read, and emails that the mail server accepted, for the selected flows.",
        "Both follow the day of the shop. An order has some events and some emails.",
        "Orders without emails: a flow has stopped, or the mail server is down. Neither of them: nothing arrives from the shop.",
        ("TakkFlowStopped",),
        see="takk-mail",
    ),
    "locale",
    Query(total(f"increase({shop_series('takk_records_in_total', stage='flows', topic='orders')}[1h])"), "orders"),
    Query(total(f"increase({shop_series('takk_mails_total', FLOW, outcome='sent')}[1h])"), "emails"),
    steps=((None, BLUE),),
    decimals=0,
    below=True,
)
HEARTBEAT = number(
    "Last heartbeat",
    SMALL_TILE,
    About(
        "Age of the last heartbeat that passed through all stages, on the partition where it is oldest. "
        "A heartbeat is a record that Takk itself writes every 15 s. An hour: it is older, or none has passed since a mailer started.",
        "Below a minute.",
        "A stage does not advance although no record of the shop may wait. The pipeline dashboard shows the partition.",
        ("TakkHeartbeatMissing",),
        see="takk-pipeline",
    ),
    "s",
    # The time is 0 after a start, which is decades ago.
    Query(f"clamp_max({age(f'min(max by (shop, partition) ({HEARTBEATS}))')}, 3600)"),
    steps=((None, GREEN), (60, YELLOW), (120, RED)),
    decimals=0,
    missing="off",
)
DEAD = number(
    "Dead letters, last hour",
    TILE,
    About(
        "Records that Takk refused within the last hour. They are kept unchanged.",
        "None.",
        "Follow the runbook. The emails that follow from these records are missing. The number falls an hour after the last of them.",
        ("TakkDeadLetters", "TakkDeadLetterBudgetBurn"),
        see="takk-pipeline",
    ),
    "locale",
    Query(total(f"increase({shop_series('takk_dead_letters_total')}[1h])")),
    steps=ZERO_IS_GOOD,
    decimals=0,
)
CLAIMS = number(
    "Customers waiting for a code",
    TILE,
    About(
        "Claims for a discount code that no code pool can serve.",
        "None.",
        "Add codes to the empty pool.",
        ("TakkPoolEmpty",),
        see="takk-pools",
    ),
    "short",
    Query(total(shop_series("takk_pool_claims"))),
    steps=ZERO_IS_GOOD,
    words={"0": ("none", GREEN)},
    spark=False,
    missing="no code pool",
)
FLOOD = number(
    "Flows not started, 10 min",
    TILE,
    About(
        "Flows that were not started within 10 minutes, because the customer has as many waiting flows as allowed. "
        "Real customers do not reach this limit.",
        "None.",
        "Above 100: a script, an import, or one customer id for many people sends very many events. Follow the runbook.",
        ("TakkCustomerFloods",),
        see="takk-pipeline",
    ),
    "locale",
    Query(total(f"increase({shop_series('takk_decisions_total', outcome='limit', rule='instances')}[10m])")),
    steps=((None, GREEN), (1, YELLOW), (100, RED)),
    decimals=0,
)
SLO_TABLE = rows(
    "Service level objectives",
    Size(14, 7),
    About(
        "Each objective with its errors within the last hour, its burn rates, and the error budget left of 30 days. "
        "A burn rate of 1 spends the budget in exactly 30 days. "
        "Orders that became dead letters have no confirmation, and count as records, not as order confirmations.",
        "The budget left is above 0, and the burn rates are below 1.",
        "A burn rate above 14 spends the budget within two days: act now. At a rate above 1, find the cause today.",
        (
            "TakkHandoverBudgetBurn",
            "TakkOrderEmailBudgetBurn",
            "TakkDeadLetterBudgetBurn",
            "TakkInDoubtBudgetBurn",
            "TakkWithdrawalBudgetBurn",
        ),
    ),
    "none",
    (
        Column("slo", "Objective", words=SLOS),
        Column("Value #A", "Target", "percentunit", decimals=1),
        Column("Value #B", "Errors, 1 hour", "percentunit", decimals=2),
        Column("Value #C", "Burn rate, 1 hour", "suffix:×", ((None, GREEN), (1, YELLOW), (14.4, RED)), decimals=1),
        Column("Value #D", "Burn rate, 6 hours", "suffix:×", ((None, GREEN), (1, YELLOW), (6, RED)), decimals=1),
        Column("Value #E", "Budget left", "percentunit", ((None, RED), (0, YELLOW), (0.25, GREEN)), decimals=0),
    ),
    Query("max by (slo) (takk:slo_objective:ratio)", instant=True),
    Query(largest(shop_series("takk:slo_errors:ratio1h"), "slo"), instant=True),
    Query(largest(shop_series("takk:slo_burn:rate1h"), "slo"), instant=True),
    Query(largest(shop_series("takk:slo_burn:rate6h"), "slo"), instant=True),
    Query(f"min by (slo) ({shop_series('takk:slo_budget_left:ratio30d')})", instant=True),
)
ALERT_TABLE = rows(
    "Firing alerts",
    Size(10, 7),
    About(
        "Each alert of Takk that fires now, the one that fires longest first. Click a name to open its runbook. "
        "Since: the time at which its condition became true.",
        "The table is empty.",
        "Act on severity page first. The alert at the top began first, and is often the cause of the others.",
        ("TakkRuleFailures", "TakkAlertsNotDelivered", "TakkSeriesMissing"),
    ),
    "none",
    (
        Column("alertname", "Alert", link=runbook_url("${__value.raw}")),
        Column("severity", "Severity"),
        Column("Value", "Since", "dateTimeAsIsoNoDateIfToday"),
        Column("stage", "Stage"),
        Column("partition", "Partition"),
        Column("reason", "Reason"),
        Column("flow", "Flow"),
        Column("slo", "Objective", words=SLOS),
        Column("instance", "Process"),
    ),
    # ALERTS_FOR_STATE is the Unix time at which the condition became true. Grafana counts in milliseconds.
    Query(f"1000 * ({ALERT_TIMES} and ignoring (alertstate) {FIRING_ALERTS})", instant=True),
    sort=("Since", False),
    missing="No alert fires",
)
STAGE_BANDS = timeline(
    "Stages: age of the oldest waiting record",
    Size(14, 6),
    About(
        "One band per stage, in the order in which a record passes through them. "
        "The color is the age of the oldest record that waits: green below 1 minute, yellow below 5 minutes, red above.",
        "All bands are green.",
        "The first stage from the top that is not green is the cause. The incident began a minute before its band turned yellow.",
        ("TakkLagHigh", "TakkPartitionStuck"),
        see="takk-pipeline",
    ),
    "s",
    *(Query(largest(shop_series("takk:lag_seconds:max", stage=stage)), stage) for stage in STAGES),
    steps=LAG_STEPS,
    decimals=0,
)
BURN = graph(
    "Burn rate of the error budgets, 1 hour",
    Size(10, 6),
    About(
        "How many times faster than allowed each error budget is spent.",
        "Near 0. Short peaks are allowed.",
        "A rate above the line at 14.4 pages somebody. The table of objectives shows the budget that is left.",
    ),
    "suffix:×",
    *(Query(largest(shop_series("takk:slo_burn:rate1h", slo=slo)), words) for slo, words in SLOS.items()),
    steps=((None, "transparent"), (14.4, RED)),
)
EMAILS = graph(
    "Emails per minute by outcome",
    Size(10, 7),
    About(
        "Send commands per minute by outcome, for the selected flows.",
        "Nearly all are sent. Suppressed emails are withdrawals and addresses that may not receive email.",
        "Deferred: the mail server asks to wait. Refused: open the mail dashboard. Expired: the email was too late to send.",
        see="takk-mail",
    ),
    "suffix:/min",
    Query(f"60 * ({total(shop_series('takk:emails:rate5m', FLOW), 'outcome')})", "{{outcome}}"),
    stacked=True,
)
LATENESS = graph(
    "Lateness",
    Size(7, 7),
    About(
        "Emails: time from when they were due until the mail server accepted them. Timers: time from when they were due until "
        "they fired. Both are the 99 % quantile.",
        "Some seconds. The objective is 5 minutes.",
        "Timers late: see the stage scheduler. Only emails late: see the mail server. No line: no email was accepted; expired "
        "emails are in the panel beside.",
        ("TakkHandoverBudgetBurn", "TakkTimersLate"),
        see="takk-timers",
    ),
    "s",
    Query(_late("takk_handover_seconds_bucket"), "emails"),
    Query(_late("takk_timer_lateness_seconds_bucket"), "timers"),
    steps=((None, "transparent"), (300, RED)),
)
FAILURES = graph(
    "Dead letters and sends in doubt",
    Size(7, 7),
    About(
        "Within 5 minutes: dead letters by stage, and sends that were in flight while a mailer died, by what happened to them.",
        "Both stay at 0.",
        "Dead letters: an input is invalid; the pipeline dashboard shows the reason. "
        "Sends in doubt: a mailer died while it sent; see why it died.",
        ("TakkDeadLetters", "TakkSendsInDoubt"),
        see="takk-pipeline",
    ),
    "short",
    Query(total(f"increase({shop_series('takk_dead_letters_total')}[5m])", "stage"), "dead letters, {{stage}}"),
    Query(total(f"increase({shop_series('takk_sends_unknown_total')}[5m])", "action"), "in doubt, {{action}}"),
)

SCREEN: Final = Screen(
    "takk-overview",
    "Overview",
    "Is all well? If not, since when, and in which stage?",
    (
        Row("", (DOWN, ALERTS, SERVERS, HEARTBEAT, LAG, DEAD, FLOOD, CLAIMS, SENT)),
        Row("", (SLO_TABLE, ALERT_TABLE)),
        Row("", (STAGE_BANDS, BURN)),
        Row("", (EMAILS, LATENESS, FAILURES)),
    ),
    variables=("shop", "flow"),
)
