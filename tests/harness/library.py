"""The emails of the shipped flows in a scenario, by flow."""

from __future__ import annotations

from streams.testing import Scenario


def emails_of(shop: Scenario, *flows: str, customer: str = "anna") -> list[str]:
    """Return the emails that the customer got from these flows, as `<flow>/<message>`."""
    return [mail for mail in shop.mails(customer) if mail.partition("/")[0] in flows]


def messages_of(shop: Scenario, flow: str, customer: str = "anna") -> list[str]:
    """Return the messages that the customer got from one flow."""
    return [mail.partition("/")[2] for mail in emails_of(shop, flow, customer=customer)]
