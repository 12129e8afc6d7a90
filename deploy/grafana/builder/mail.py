"""Emails: what became of each one, how late they are, and what the mail server and the providers behind it answer."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import GREEN, RED, YELLOW, ZERO_IS_GOOD
from deploy.grafana.builder.panels import About, Column, Query, Size, bar_chart, graph, heat_map, number, rows
from deploy.grafana.builder.promql import (
    FLOW,
    RATE_WINDOW,
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

TILE: Final = Size(3, 4)
CELL: Final = Size(8, 8)
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
                f" / {total(increase('takk_handover_seconds_count', FLOW, window='1h'))}"
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
    """Return the panels about what became of emails."""
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
                Column("flow", "Flow"),
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


def server() -> list[model.Panel]:
    """Return the panels about the mail server."""
    return [
        graph(
            "Time until the mail server answers",
            CELL,
            About(
                "Time from handing an email to the mail server until its answer.",
                "Below a second.",
                "Above 2 s the server limits the rate. Ask its operator, or raise `SMTP_CONNECTIONS`.",
                ("TakkMailServerSlow",),
            ),
            "s",
            Query(quantile(0.5, "takk_smtp_seconds"), "median"),
            Query(quantile(0.99, "takk_smtp_seconds"), "99 %"),
            Query(mean("takk_smtp_seconds"), "mean"),
            steps=((None, "transparent"), (2, RED)),
        ),
        graph(
            "Connections to the mail server",
            CELL,
            About(
                "Open connections of all mailers, and the most that they may open.",
                "Below the limit.",
                "At the limit while emails wait: the server is slow, or the limit is too low.",
                ("TakkMailServerSlow",),
            ),
            "none",
            Query(total(series("takk_smtp_connections")), "open"),
            Query(total(series("takk_smtp_connections_limit")), "limit"),
            dashed=("limit",),
        ),
        graph(
            "Time to render an email",
            CELL,
            About(
                "Time to render and compose an email, 99 % of the emails of each flow.",
                "Below 50 ms.",
                "A slow flow: look for loops over many products in its template. All flows: the mailer lacks CPU.",
                see="takk-resources",
            ),
            "s",
            Query(quantile(0.99, "takk_render_seconds", FLOW, by="flow"), "{{flow}}"),
        ),
    ]


def providers() -> list[model.Panel]:
    """Return the panels about the providers of the recipients."""
    return [
        graph(
            "Answers of the mail server",
            CELL,
            About(
                "Emails per minute that were offered to the mail server, by its answer.",
                "Nearly all are accepted.",
                "Deferred by one provider alone: it throttles the shop. Down: the connection fails.",
                ("TakkMailServerDown", "TakkProviderDefers"),
            ),
            "suffix:/min",
            Query(f"60 * {total(rate('takk_smtp_answers_total'), 'outcome')}", "{{outcome}}"),
            stacked=True,
        ),
        graph(
            "Deferred and refused by provider",
            CELL,
            About(
                "Share of emails that the mail server deferred or refused, by provider of the recipient.",
                "Below 5 % for each provider.",
                "One provider is high: it throttles or blocks the shop. See the reasons, and the provider's postmaster page.",
                ("TakkProviderDefers", "TakkProviderRefuses"),
            ),
            "percentunit",
            # A provider without emails in the window has a share of 0.
            Query(
                f"{total(rate('takk_smtp_answers_total', outcome='~deferred|refused'), 'provider')}"
                f" / clamp_min({total(rate('takk_smtp_answers_total'), 'provider')}, 1e-9)",
                "{{provider}}",
            ),
            steps=((None, "transparent"), (0.2, RED)),
            maximum=1,
        ),
        bar_chart(
            "Refusals by provider and reason",
            CELL,
            About(
                "The ten most frequent refusals within the time range, by provider of the recipient and reason.",
                "Mailboxes that do not exist or are full.",
                "spam_rate, rate_limited and policy: send less to this provider. sender_authentication: check SPF, DKIM and DMARC.",
                ("TakkProviderRefuses",),
            ),
            "short",
            Query(
                f"topk(10, {total(increase('takk_smtp_refusals_total'), 'provider, reason, kind')})",
                "{{provider}}: {{reason}} ({{kind}})",
            ),
        ),
        graph(
            "Bounces per hour by flow",
            CELL,
            About(
                "Bounced emails within an hour, by flow. Hard: the address is dead. Soft: the mailbox has a temporary problem.",
                "Few, spread over all flows.",
                "One flow with many hard bounces: its customers have old or invented addresses.",
                ("TakkBounceRateHigh",),
            ),
            "suffix:/h",
            Query(total(increase("takk_bounces_total", FLOW, window="1h"), "flow, kind"), "{{flow}}, {{kind}}"),
            legend="none",
        ),
        graph(
            "Withdrawals per hour",
            CELL,
            About(
                "Emails that the rules cancelled after they had been commanded. In time: the email was not sent.",
                "All are in time.",
                "Too late: the customer received an email that no longer applies. The mailer reads withdrawals late: see its lag.",
                ("TakkWithdrawalBudgetBurn",),
                see="takk-pipeline",
            ),
            "suffix:/h",
            Query(total(increase("takk_withdrawals_total", window="1h"), "outcome"), "{{outcome}}"),
        ),
        graph(
            "Sends in doubt per hour",
            CELL,
            About(
                "Sends that were in flight when a mailer died, by what Takk did with them.",
                "0.",
                "Sent again: a customer may have two emails. Given up: a customer may have none.",
                ("TakkSendsInDoubt",),
                see="takk-resources",
            ),
            "suffix:/h",
            Query(total(increase("takk_sends_unknown_total", FLOW, window="1h"), "action"), "{{action}}"),
        ),
    ]


SCREEN: Final = Screen(
    "takk-mail",
    "Emails",
    "Do emails leave on time, and what do the mail server and the providers answer?",
    (
        Row("", state()),
        Row("What became of emails", outcomes()),
        Row("Flows", flows()),
        Row("How late they are", delays()),
        Row("The mail server", server()),
        Row("Providers, bounces and withdrawals", providers()),
    ),
    variables=("shop", "flow", "instance"),
)
