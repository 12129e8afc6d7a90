"""Whether a customer may be sent a mail of some purpose."""

from __future__ import annotations

from streams.core.customer import Consent

TRANSACTIONAL = frozenset(("order", "service"))
SOFT_BOUNCES_IN_A_ROW = 7
_OWN_SCOPES = frozenset(("review", "survey"))


def is_transactional(purpose: str) -> bool:
    """Whether the shop owes this mail whatever the customer thinks of marketing."""
    return purpose in TRANSACTIONAL


def refusal(consent: Consent, purchases: int, purpose: str) -> str | None:
    """The name of the rule that forbids a mail of `purpose`, or None if it may go.

    Without an answer to the question for consent a purchase counts as a soft opt-in.
    """
    if purpose in TRANSACTIONAL:
        return None
    if consent.unsubscribed:
        if "marketing" in consent.unsubscribed:
            return "unsubscribed"
        if purpose in _OWN_SCOPES and purpose in consent.unsubscribed:
            return "unsubscribed"
    if consent.hard_bounced:
        return "hard_bounced"
    if consent.complained:
        return "complained"
    if consent.soft_bounces >= SOFT_BOUNCES_IN_A_ROW:
        return "soft_bounces"
    if consent.marketing is False:
        return "no_consent"
    if consent.marketing is None and purchases < 1:
        return "no_soft_opt_in"
    return None


def permission(consent: Consent, purpose: str) -> str:
    """The name of the rule that allows a mail which `refusal` did not forbid."""
    if purpose in TRANSACTIONAL:
        return "transactional"
    return "consent" if consent.marketing else "soft_opt_in"
