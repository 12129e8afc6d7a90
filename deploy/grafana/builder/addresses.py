"""The panels about email addresses: what they must not get, and customer ids that several people share."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import RED, YELLOW
from deploy.grafana.builder.panels import About, Query, Size, graph
from deploy.grafana.builder.promql import age, increase, largest, series, total

QUARTER: Final = Size(6, 8)
#: The panels of a shop without the secret have no data.
OFF: Final = "TAKK_ADDRESS_SECRET is not set"


def addresses() -> list[model.Panel]:
    """Return the panels about addresses."""
    return [
        graph(
            "Emails that their address must not get",
            QUARTER,
            About(
                "Emails within an hour that were not sent because of their address, whichever customer ids use it, by rule.",
                "Some address_suppressed: people who refused as one customer order as another.",
                "Many address_limit: one address has more than 20 transactional emails a day. See which customers, with `takk why`. "
                "Many address_cap: one address has many customer ids.",
                see="takk-pipeline",
            ),
            "suffix:/h",
            Query(total(increase("takk_mail_rules_total", window="1h", rule="~address_.*"), "rule"), "{{rule}}"),
        ),
        graph(
            "Addresses that refuse emails",
            QUARTER,
            About(
                "Addresses that refuse the emails of a purpose, reported spam or do not exist, as each mailer knows them.",
                "It grows slowly.",
                "A step: many people refused at once. See which email led to it.",
                see="takk-engagement",
            ),
            "locale",
            Query(largest(series("takk_suppressed_addresses"), "instance"), "{{instance}}"),
            missing=OFF,
        ),
        graph(
            "Time since suppressions were read",
            QUARTER,
            About(
                "Time since each mailer last read the suppressed addresses to their end. A mailer without emails so far has no line.",
                "Some seconds.",
                "A refusal under one customer id does not reach the emails of the other ids. See whether the mailer can read from "
                "Kafka, and whether the stage suppressions is behind.",
                ("TakkSuppressionsStale",),
                see="takk-pipeline",
            ),
            "s",
            Query(
                age(f"max by (instance) ({series('takk_suppressions_read_timestamp_seconds')} > 0)"),
                "{{instance}}",
            ),
            steps=((None, "transparent"), (60, RED)),
            missing="no email so far, or " + OFF,
        ),
        graph(
            "Shared customer ids per day",
            QUARTER,
            About(
                "Decisions within a day about customer ids with more than 5 email addresses in a week. limit: an id was quarantined. "
                "skip: an email was not sent because of it.",
                "None.",
                "A shop system gives one id to all guests. Each order gets its own receipts, and the id nothing else. Follow the runbook.",
                ("TakkSharedCustomerId",),
            ),
            "suffix:/d",
            Query(total(increase("takk_decisions_total", window="1d", rule="shared_id"), "outcome"), "{{outcome}}"),
            steps=((None, "transparent"), (1, YELLOW)),
        ),
    ]
