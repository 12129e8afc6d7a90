"""Emails: their outcomes, how late they are, and the answers of the mail server and of the providers behind it."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import GREEN, RED, YELLOW, ZERO_IS_GOOD
from deploy.grafana.builder.links import flow_url
from deploy.grafana.builder.panels import About, Query, Size, bar_chart, graph, heat_map, number
from deploy.grafana.builder.promql import (
    FLOW,
    RATE_WINDOW,
    increase,
    largest,
    quantile,
    rate,
    series,
    shop_series,
    total,
)
from deploy.grafana.builder.providers import CELL, providers, server
from deploy.grafana.builder.screen import Row, Screen
from deploy.grafana.builder.tables import Column, rows

TILE: Final = Size(3, 4)
#: The objective: 99 % within 5 minutes.
OBJECTIVE: Final = ((None, "transparent"), (300, RED))


def state() -> list[model.Panel]:
    """Return the numbers at the top."""
    return [
        number(
            "Mail server",
            TILE,
            About(
                "Whether the mailers can reach the mail server.",
                "It answers.",
                "Emails wait and are not lost. Check the mail server, its certificate and the password.",
                ("TakkMailServerDown",),
            ),
            "none",
            Query(largest(series("takk_smtp_paused"))),
            steps=ZERO_IS_GOOD,
            words={"0": ("answers", GREEN), "1": ("down", RED)},
            spark=False,
        ),
        number(
            "Sent, last hour",
            TILE,
            About(
                "Emails that the mail server accepted within the last hour.",
                "It follows the orders of the shop.",
                "0 while orders arrive: a flow has stopped, or the mail server is down.",
                ("TakkFlowStopped",),
            ),
            "short",
            Query(total(increase("takk_mails_total", FLOW, window="1h", outcome="sent"))),
            decimals=0,
        ),
        number(
            "Within 5 minutes, last hour",
            TILE,
            About(
                "Share of accepted emails that the mail server accepted within 5 minutes after they were due.",
                "99 % or more.",
                "See which time is long: the answers of the mail server, or the lag of a stage.",
                ("TakkHandoverBudgetBurn",),
                see="takk-pipeline",
            ),
            "percentunit",
            Query(
                f"{total(increase('takk_handover_seconds_bucket', FLOW, window='1h', le='300.0'))}"
                f" / ({total(increase('takk_handover_seconds_count', FLOW, window='1h'))} > 0)"
            ),
            steps=((None, RED), (0.99, GREEN)),
            decimals=1,
            missing="no email",
        ),
        number(
            "Refused, last hour",
            TILE,
            About(
                "Emails that the mail server refused, or that could not be rendered, within the last hour.",
                "Few: dead addresses are refused once, and get no further email.",
                "Many: see the reasons below. A reason about the sender needs action today.",
                ("TakkEmailsRefused", "TakkProviderRefuses"),
            ),
            "short",
            Query(total(increase("takk_mails_total", FLOW, window="1h", outcome="refused"))),
            steps=((None, GREEN), (5, YELLOW), (50, RED)),
            decimals=0,
        ),
        number(
            "Expired, last hour",
            TILE,
            About(
                "Emails that were too late to be useful, and that Takk dropped within the last hour.",
                "0.",
                "Something delayed them by hours: see the lag of the stages and the mail server.",
                ("TakkHandoverBudgetBurn",),
                see="takk-pipeline",
            ),
            "short",
            Query(total(increase("takk_mails_total", FLOW, window="1h", outcome="expired"))),
            steps=ZERO_IS_GOOD,
            decimals=0,
        ),
        number(
            "Hard bounces, last day",
            TILE,
            About(
                "Share of emails within the last day that bounced because the address is dead.",
                "Below 2 %. Providers block senders above 5 %.",
                "Find the flow with the bounces below, and the source of its addresses.",
                ("TakkBounceRateHigh",),
            ),
            "percentunit",
            Query(largest(shop_series("takk:hard_bounces:ratio1d"))),
            steps=((None, GREEN), (0.02, YELLOW), (0.05, RED)),
            decimals=2,
            missing="no email",
        ),
        number(
            "Complaints, last day",
            TILE,
            About(
                "Share of emails within the last day that their recipients reported as spam.",
                "Below 0.1 %. Gmail and Yahoo block senders above 0.3 %.",
                "Pause the marketing flow with the complaints.",
                ("TakkComplaintRateHigh",),
                see="takk-engagement",
            ),
            "percentunit",
            Query(largest(shop_series("takk:complaints:ratio1d"))),
            steps=((None, GREEN), (0.001, YELLOW), (0.003, RED)),
            decimals=2,
            missing="no email",
        ),
        number(
            "In doubt, last hour",
            TILE,
            About(
                "Sends that were in flight when a mailer died. Takk sends transactional emails again and gives up others.",
                "0.",
                "See why the mailer died. The runbook lists the customers who may have two emails or none.",
                ("TakkSendsInDoubt",),
                see="takk-resources",
            ),
            "short",
            Query(total(increase("takk_sends_unknown_total", FLOW, window="1h"))),
            steps=ZERO_IS_GOOD,
            decimals=0,
        ),
    ]


def outcomes() -> list[model.Panel]:
    """Return the panels about the outcomes of emails."""
    return [
        graph(
            "Emails per minute by outcome",
            CELL,
            About(
                "Send commands per minute, by outcome.",
                "Nearly all are sent. Suppressed emails are withdrawals and addresses that may not receive email.",
                "Deferred: the server asks to wait. Refused: see the reasons. Expired: too late. Unknown: in doubt.",
            ),
            "suffix:/min",
            Query(f"60 * {total(rate('takk_mails_total', FLOW), 'outcome')}", "{{outcome}}"),
            stacked=True,
        ),
        graph(
            "Emails sent per minute by flow",
            CELL,
            About(
                "Emails that the mail server accepted per minute, by flow.",
                "Each flow has its own daily course.",
                "A flow at 0 for hours while others send: it is paused, it is a draft, or its trigger does not arrive.",
                ("TakkFlowStopped",),
                see="takk-engagement",
            ),
            "suffix:/min",
            Query(f"60 * {total(rate('takk_mails_total', FLOW, outcome='sent'), 'flow')}", "{{flow}}"),
            stacked=True,
        ),
        bar_chart(
            "Why emails were not sent",
            CELL,
            About(
                "The ten rules that most often decided against an email or deferred it, within the time range.",
                "Consent rules, frequency caps and quiet hours.",
                "A rule that is new here: run `takk why` for a customer, and see what changed.",
            ),
            "short",
            Query(
                f"topk(10, {total(increase('takk_decisions_total', FLOW, outcome='~skip|defer|draft|limit'), 'outcome, rule')})",
                "{{outcome}}: {{rule}}",
            ),
        ),
    ]


def flows() -> list[model.Panel]:
    """Return the table of flows."""
    return [
        rows(
            "Flows",
            Size(24, 7),
            About(
                "Each flow that the workers have loaded, with its version and state, and its emails within the last day.",
                "All flows that you wrote are live and have the version that you deployed.",
                "paused: a flow that sends nothing on purpose. draft: it decides and sends nothing. "
                "Two versions at a time are normal during a deployment only.",
                ("TakkFlowStopped",),
                see="takk-engagement",
            ),
            "short",
            (
                Column("flow", "Flow", link=flow_url("takk-engagement")),
                Column("version", "Version"),
                Column("state", "State"),
                Column("Value #B", "Sent", decimals=0),
                Column("Value #C", "Refused", steps=((None, "transparent"), (1, YELLOW)), decimals=0),
                Column("Value #D", "Expired", steps=((None, "transparent"), (1, RED)), decimals=0),
                Column("Value #E", "Decided against", decimals=0),
            ),
            Query(f"max by (flow, version, state) ({shop_series('takk_flow_info', FLOW)})", instant=True),
            *(
                Query(total(f"increase({shop_series('takk_mails_total', FLOW, outcome=outcome)}[1d])", "flow"), instant=True)
                for outcome in ("sent", "refused", "expired")
            ),
            Query(total(f"increase({shop_series('takk_decisions_total', FLOW, outcome='skip')}[1d])", "flow"), instant=True),
            sort=("Sent", True),
        )
    ]  # fmt: skip


def delays() -> list[model.Panel]:
    """Return the panels about how late emails are."""
    return [
        graph(
            "Time from due to accepted",
            CELL,
            About(
                "Time from the moment when an email was due until the mail server accepted it.",
                "Some seconds.",
                "Compare it with the answers of the mail server and with the lag of the stages: the larger one is the cause.",
                ("TakkHandoverBudgetBurn",),
                see="takk-pipeline",
            ),
            "s",
            Query(quantile(0.5, "takk_handover_seconds", FLOW), "median"),
            Query(quantile(0.9, "takk_handover_seconds", FLOW), "90 %"),
            Query(quantile(0.99, "takk_handover_seconds", FLOW), "99 %"),
            steps=OBJECTIVE,
        ),
        graph(
            "Time from order to email",
            CELL,
            About(
                "Time from the placing of an order until the mail server accepted an email about it.",
                "Some seconds, plus the time that the shop takes to report the order.",
                "If only this time is long, the shop reports orders late.",
                ("TakkOrderEmailBudgetBurn",),
            ),
            "s",
            Query(quantile(0.5, "takk_order_to_email_seconds", FLOW), "median"),
            Query(quantile(0.99, "takk_order_to_email_seconds", FLOW), "99 %"),
            steps=OBJECTIVE,
        ),
        heat_map(
            "Distribution of the time from due to accepted",
            CELL,
            About(
                "Emails by the time from due to accepted. A darker cell has more emails.",
                "All emails are in the lowest cells.",
                "A second band high above: retries after deferrals, or one partition that is behind.",
                ("TakkHandoverBudgetBurn",),
            ),
            "s",
            Query(total(f"increase({series('takk_handover_seconds_bucket', FLOW)}[{RATE_WINDOW}])", "le"), "{{le}}"),
        ),
    ]


SCREEN: Final = Screen(
    "takk-mail",
    "Emails",
    "Do emails leave on time, and what do the mail server and the providers answer?",
    (
        Row("", state()),
        Row("Outcomes", outcomes()),
        Row("Flows", flows()),
        Row("Lateness", delays()),
        Row("The mail server", server()),
        Row("Providers, bounces and withdrawals", providers()),
    ),
    variables=("shop", "flow", "instance"),
)
