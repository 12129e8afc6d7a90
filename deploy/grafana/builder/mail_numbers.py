"""The numbers at the top of the dashboard of emails."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import GREEN, RED, YELLOW, ZERO_IS_GOOD
from deploy.grafana.builder.panels import About, Query, Size, number
from deploy.grafana.builder.promql import FLOW, increase, largest, series, shop_series, total

TILE: Final = Size(3, 4)
MAIL_SERVER_STATES: Final = {"0": ("answers", GREEN), "1": ("down", RED), "2": ("slow", YELLOW)}


def mail_server_state(paused: str) -> str:
    """Return an expression of `MAIL_SERVER_STATES`.

    Args:
        paused: 1 while a mailer cannot reach the mail server, otherwise 0. It has no labels.
    """
    slow = f"2 * ({largest(shop_series('takk:smtp_seconds:mean2m'))} > bool 1)"
    return f"{paused} == 1 or {slow} or {paused}"


def numbers() -> list[model.Panel]:
    """Return the numbers at the top."""
    return [
        number(
            "Mail server",
            TILE,
            About(
                "Whether the mailers can reach the mail server. Slow: more than a second per email, within 2 minutes.",
                "It answers.",
                "Down: emails wait and are not lost. Check the mail server, its certificate and the password. "
                "Slow: open the row of the mail server.",
                ("TakkMailServerDown", "TakkMailServerSlow"),
            ),
            "none",
            Query(mail_server_state(largest(series("takk_smtp_paused")))),
            steps=ZERO_IS_GOOD,
            words=MAIL_SERVER_STATES,
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
            "locale",
            Query(total(increase("takk_mails_total", FLOW, window="1h", outcome="sent"))),
            decimals=0,
        ),
        number(
            "Within 5 minutes, last hour",
            TILE,
            About(
                "Share of due emails that the mail server accepted within 5 minutes. Expired emails count as late.",
                "99 % or more.",
                "See which time is long: the answers of the mail server, or the lag of a stage.",
                ("TakkHandoverBudgetBurn",),
                see="takk-pipeline",
            ),
            "percentunit",
            Query(
                f"{total(increase('takk_handover_seconds_bucket', FLOW, window='1h', le='300.0'))}"
                f" / ({total(increase('takk_handover_seconds_count', FLOW, window='1h'))}"
                f" + {total(increase('takk_mails_total', FLOW, window='1h', outcome='expired'))} > 0)"
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
            "locale",
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
            "locale",
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
            "locale",
            Query(total(increase("takk_sends_unknown_total", FLOW, window="1h"))),
            steps=ZERO_IS_GOOD,
            decimals=0,
        ),
    ]
