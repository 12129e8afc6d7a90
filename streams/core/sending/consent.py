"""Whether a customer may receive an email of some purpose: by the consent policy, the customer's answers and purchases."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.model.customer import Consent, OrderState
from streams.core.model.effects import WithdrawMail
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import ANY_COUNTRY, OWN_SCOPES, PolicyLine, is_transactional
from streams.core.values import ids, local_time

#: An address is suppressed after this many soft bounces without a delivery between them.
SOFT_BOUNCES_IN_A_ROW = 7


class ConsentDecision(Struct, frozen=True, gc=False):
    """Whether an email may be sent.

    Attributes:
        is_allowed: the decision.
        rule: the name of the rule that decided.
        basis: the line of the policy and the evidence, as text without personal data.
    """

    is_allowed: bool
    rule: str
    basis: str = ""


def country_of(uow: UnitOfWork, order: OrderState | None) -> str:
    """Return the country whose law applies (ISO 3166-1 alpha-2): the customer's, else the order's, else the shop's."""
    facts = order.facts if order is not None else None
    return uow.profile.country or (facts.country if facts is not None else "") or uow.ruleset.shop.country


def decide(uow: UnitOfWork, purpose: str, order: OrderState | None) -> ConsentDecision:
    """Decide whether the customer may receive an email now.

    Unsubscriptions and suppressed addresses take precedence over every line of the policy. Then an answer to the question for this
    purpose counts more than an answer about marketing, and either counts more than a purchase.

    Args:
        uow: the customer.
        purpose: the purpose of the email.
        order: the order that the email is about, if any.
    """
    if is_transactional(purpose):
        return ConsentDecision(True, "transactional", f"{purpose}/{ANY_COUNTRY} is allowed")
    if uow.is_shared:
        return ConsentDecision(False, "shared_id", "several people share this customer id")
    consent = uow.consent
    country = country_of(uow, order)
    line = uow.ruleset.consent_policy.line(purpose, country)
    basis = _basis(uow, line, country)
    suppression = _suppression(consent, purpose)
    if suppression is not None:
        return ConsentDecision(False, suppression, basis)
    answer = consent.answer(purpose) if purpose in OWN_SCOPES else None
    if answer is not None:
        text = f"{'yes' if answer.is_yes else 'no'} to {purpose}"
        evidence = _evidence(text, answer.at, answer.country, answer.notice)
        return ConsentDecision(answer.is_yes, "own_opt_in" if answer.is_yes else "no_consent", f"{basis}: {evidence}")
    if line.verdict == "own_opt_in":
        return ConsentDecision(False, "no_own_opt_in", f"{basis}: never said yes to {purpose}")
    if consent.marketing is not None:
        text = f"{'yes' if consent.marketing else 'no'} to marketing"
        evidence = _evidence(text, consent.marketing_at, consent.marketing_country, consent.marketing_notice)
        return ConsentDecision(
            consent.marketing, "consent" if consent.marketing else "no_consent", f"{basis}: {evidence}"
        )
    if line.verdict == "allowed":
        return ConsentDecision(True, "allowed", basis)
    if line.verdict == "soft_opt_in":
        return _soft_opt_in(uow, line, basis)
    return ConsentDecision(False, "no_consent", f"{basis}: never said yes")


def withdraw_emails(uow: UnitOfWork) -> None:
    """Withdraw every email that was commanded, may not have left yet and is no longer allowed.

    An email may be queued for hours while the mail server is down. The mailer reads the withdrawals right before it sends.
    """
    for sent in uow.sends:
        if sent.outcome not in (None, "deferred"):
            continue
        decision = decide(uow, sent.purpose, uow.order(sent.order_id) if sent.order_id is not None else None)
        if not decision.is_allowed:
            uow.effects.append(
                WithdrawMail(
                    withdrawal_id=ids.digest("withdrawal", sent.send_id, decision.rule),
                    customer_id=uow.customer_id,
                    send_id=sent.send_id,
                    rule=decision.rule,
                    withdrawn_at=uow.now,
                )
            )


def _basis(uow: UnitOfWork, line: PolicyLine, country: str) -> str:
    built_in = "built-in " if uow.ruleset.consent_policy.is_built_in else ""
    label = f"{ANY_COUNTRY} ({country})" if line.country == ANY_COUNTRY else line.country
    return f"{built_in}{line.purpose}/{label} is {line.verdict}"


def _suppression(consent: Consent, purpose: str) -> str | None:
    """Return the rule that suppresses every email of `purpose` to the address, or None."""
    if consent.unsubscribed and consent.is_unsubscribed(purpose):
        return "unsubscribed"
    if consent.hard_bounced:
        return "hard_bounced"
    if consent.complained:
        return "complained"
    return "soft_bounces" if consent.soft_bounces >= SOFT_BOUNCES_IN_A_ROW else None


def _soft_opt_in(uow: UnitOfWork, line: PolicyLine, basis: str) -> ConsentDecision:
    """Decide by ePrivacy Directive, article 13(2): the shop got the address in a sale, and the customer did not object."""
    if uow.purchases < 1:
        return ConsentDecision(False, "no_soft_opt_in", f"{basis}: no purchase")
    order, placed_at = _last_sale(uow)
    if line.within is not None:
        period = local_time.scale(line.within, uow.ruleset.day_scale)
        if placed_at is None or uow.now - placed_at > period:
            return ConsentDecision(False, "soft_opt_in_ended", f"{basis}: no purchase for {line.within.days} days")
    if order is None or order.facts is None:
        return ConsentDecision(True, "soft_opt_in", f"{basis}: an order that is no longer remembered")
    evidence = _evidence(f"order {order.order_id}", placed_at, order.facts.country, uow.consent.notice)
    return ConsentDecision(True, "soft_opt_in", f"{basis}: {evidence}")


def _last_sale(uow: UnitOfWork) -> tuple[OrderState | None, datetime | None]:
    """Return the newest remembered order that was not cancelled, and when it was placed (UTC)."""
    newest, newest_at = None, None
    for order in uow.orders:
        if order.facts is None or not order.placed or order.cancelled_at is not None:
            continue
        if newest_at is None or order.facts.placed_at > newest_at:
            newest, newest_at = order, order.facts.placed_at
    return newest, newest_at


def _evidence(text: str, at: datetime | None, country: str, notice: str) -> str:
    parts = [text]
    if at is not None:
        parts.append(f"of {at.date().isoformat()}")
    if country:
        parts.append(f"in {country}")
    if notice:
        parts.append(f"by notice {notice}")
    return " ".join(parts)
