"""Emails: their outcomes, how late they are, and the answers of the mail server and of the providers behind it."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.addresses import addresses
from deploy.grafana.builder.colors import RED, YELLOW
from deploy.grafana.builder.links import flow_url
from deploy.grafana.builder.mail_numbers import numbers
from deploy.grafana.builder.panels import About, Query, Size, bar_chart, graph, heat_map
from deploy.grafana.builder.promql import (
    FLOW,
    RATE_WINDOW,
    increase,
    most,
    quantile,
    rate,
    series,
    shop_series,
    total,
)
from deploy.grafana.builder.providers import CELL, QUARTER, providers, server
from deploy.grafana.builder.screen import Row, Screen
from deploy.grafana.builder.tables import Column, rows

#: Outcomes of send commands other than sent.
NOT_SENT: Final = "deferred|refused|expired|suppressed|unknown"
#: The objective: 99 % within 5 minutes.
OBJECTIVE: Final = ((None, "transparent"), (300, RED))


def outcomes() -> list[model.Panel]:
    """Return the panels about the outcomes of emails."""
    return [
        graph(
            "Emails per minute by outcome",
            QUARTER,
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
            QUARTER,
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
            "Why flows decided against emails",
            QUARTER,
            About(
                "The ten rules that most often decided against an email or deferred it, within the time range.",
                "Consent rules, frequency caps and quiet hours.",
                "A rule that is new here: run `takk why` for a customer, and see what changed. "
                "limit: instances with more than a few: one customer id has very many events.",
                ("TakkCustomerFloods",),
            ),
            "locale",
            Query(
                most(total(increase("takk_decisions_total", FLOW, outcome="~skip|defer|draft|limit"), "outcome, rule")),
                "{{outcome}}: {{rule}}",
            ),
            decimals=0,
            missing="none in this time range",
        ),
        bar_chart(
            "Why the mailer did not send emails",
            QUARTER,
            About(
                "The ten most frequent reasons for which the mailer did not send a commanded email, within the time range.",
                "Withdrawals, addresses that may not receive email, and answers of the mail server.",
                "unrenderable: the template or the copy of this flow is broken. Correct it, and deploy it. "
                "incorrect_document: the amounts of orders contradict each other.",
                ("TakkEmailsRefused", "TakkEmailsUnrenderable"),
            ),
            "locale",
            Query(
                most(total(increase("takk_mail_rules_total", FLOW, outcome="~" + NOT_SENT), "outcome, rule")),
                "{{outcome}}: {{rule}}",
            ),
            decimals=0,
            missing="none in this time range",
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
            "locale",
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
                "Time from the placing of an order until the mail server accepted an email about it, 99 % of the emails of each flow.",
                "Some seconds for order confirmations. Emails about parcels follow days later.",
                "Confirmations are late, and the time from due to accepted is short: the shop reports orders late.",
                ("TakkOrderEmailBudgetBurn",),
            ),
            "s",
            Query(quantile(0.99, "takk_order_to_email_seconds", FLOW, by="flow"), "{{flow}}"),
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
        Row("", numbers()),
        Row("Outcomes", outcomes()),
        Row("Flows", flows()),
        Row("Lateness", delays()),
        Row("The mail server", server()),
        Row("Providers, bounces and withdrawals", providers()),
        Row("Addresses", addresses()),
    ),
    variables=("shop", "flow", "instance"),
)
