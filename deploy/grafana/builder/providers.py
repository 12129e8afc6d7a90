"""The mail server and the providers of the recipients: the lower half of the dashboard of emails."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import RED
from deploy.grafana.builder.panels import About, Query, Size, bar_chart, graph
from deploy.grafana.builder.promql import FLOW, age, increase, mean, most, quantile, rate, series, total

CELL: Final = Size(8, 8)
QUARTER: Final = Size(6, 8)


def server() -> list[model.Panel]:
    """Return the panels about the mail server."""
    return [
        graph(
            "Time until the mail server answers",
            QUARTER,
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
            QUARTER,
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
            QUARTER,
            About(
                "Time to render and compose an email, 99 % of the emails of each flow.",
                "Below 50 ms.",
                "A slow flow: look for loops over many products in its template. All flows: the mailer lacks CPU.",
                see="takk-resources",
            ),
            "s",
            Query(quantile(0.99, "takk_render_seconds", FLOW, by="flow"), "{{flow}}"),
        ),
        graph(
            "Deferred and retried per hour",
            QUARTER,
            About(
                "Emails within an hour that the mail server deferred, and emails that Takk offered again.",
                "Both lines are close together, and few emails are deferred.",
                "More deferred than retried: emails wait for their retry. They expire if the server defers them for too long.",
                ("TakkProviderDefers",),
            ),
            "suffix:/h",
            Query(total(increase("takk_mails_total", FLOW, window="1h", outcome="deferred")), "deferred"),
            Query(total(increase("takk_decisions_total", FLOW, window="1h", outcome="retry")), "retried"),
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
                ("TakkProviderRefuses", "TakkServerRefusesUs"),
            ),
            "locale",
            Query(
                most(total(increase("takk_smtp_refusals_total"), "provider, reason, kind")),
                "{{provider}}: {{reason}} ({{kind}})",
            ),
            decimals=0,
            missing="none in this time range",
        ),
        graph(
            "Bounces per hour by flow",
            QUARTER,
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
            QUARTER,
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
            "Time since withdrawals were read",
            QUARTER,
            About(
                "Time since each mailer last read the withdrawals to their end. A mailer without emails so far has no line.",
                "Some seconds.",
                "Unsubscriptions do not reach emails that are queued. See whether the mailer can read from Kafka.",
                ("TakkWithdrawalsStale",),
                see="takk-pipeline",
            ),
            "s",
            Query(
                age(f"max by (instance) ({series('takk_withdrawals_read_timestamp_seconds')} > 0)"),
                "{{instance}}",
            ),
            steps=((None, "transparent"), (60, RED)),
            missing="no email so far",
        ),
        graph(
            "Sends in doubt per hour",
            QUARTER,
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
