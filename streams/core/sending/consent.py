"""Whether a customer may be sent a mail of some purpose: by the policy's line, by what they answered, and by what they bought."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.model.consent_policy import ANY_COUNTRY, OWN_SCOPES, TRANSACTIONAL, PolicyLine
from streams.core.model.customer import Consent, OrderState
from streams.core.model.effects import WithdrawMail
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids, local_time

SOFT_BOUNCES_IN_A_ROW = 7


class ConsentDecision(Struct, frozen=True, gc=False):
    """Whether a mail may go. `rule` is the name of what decided, `basis` names the policy's line and what the yes rests on: no
    personal data."""

    is_allowed: bool
    rule: str
    basis: str = ""


def country_of(uow: UnitOfWork, order: OrderState | None) -> str:
    """The country whose rules hold: the customer's own, else the order's, else the shop's (ISO 3166-1 alpha-2)."""
    facts = order.facts if order is not None else None
    return uow.profile.country or (facts.country if facts is not None else "") or uow.ruleset.shop.country


def ruling(uow: UnitOfWork, purpose: str, order: OrderState | None) -> ConsentDecision:
    """Whether a mail of `purpose` may go to the customer now; `order`: the one that it is about.

    What the customer refused and what suppresses the address come before every line. Then an answer to this very question counts more
    than the one to marketing, and either more than a purchase.
    """
    if purpose in TRANSACTIONAL:
        return ConsentDecision(True, "transactional", f"{purpose}/{ANY_COUNTRY} is allowed")
    known = uow.consent
    country = country_of(uow, order)
    line = uow.ruleset.consent_policy.line(purpose, country)
    basis = _named(uow, line, country)
    suppressed = _suppression(known, purpose)
    if suppressed is not None:
        return ConsentDecision(False, suppressed, basis)
    own = known.answer(purpose) if purpose in OWN_SCOPES else None
    if own is not None:
        said = _evidence(f"{'yes' if own.is_yes else 'no'} to {purpose}", own.at, own.country, own.notice)
        return ConsentDecision(own.is_yes, "own_opt_in" if own.is_yes else "no_consent", f"{basis}: {said}")
    if line.verdict == "own_opt_in":
        return ConsentDecision(False, "no_own_opt_in", f"{basis}: never said yes to {purpose}")
    if known.marketing is not None:
        words = f"{'yes' if known.marketing else 'no'} to marketing"
        said = _evidence(words, known.marketing_at, known.marketing_country, known.marketing_notice)
        return ConsentDecision(known.marketing, "consent" if known.marketing else "no_consent", f"{basis}: {said}")
    if line.verdict == "allowed":
        return ConsentDecision(True, "allowed", basis)
    if line.verdict == "soft_opt_in":
        return _soft_opt_in(uow, line, basis)
    return ConsentDecision(False, "no_consent", f"{basis}: never said yes")


def withdraw(uow: UnitOfWork) -> None:
    """Withdraw every mail that was ordered, is not known to have left, and is no longer allowed.

    It may lie in a queue for hours, behind a mail server that is down: the mailer looks at what was withdrawn right before it sends.
    """
    for sent in uow.sends:
        if sent.outcome not in (None, "deferred"):
            continue
        ruled = ruling(uow, sent.purpose, uow.order(sent.order_id) if sent.order_id is not None else None)
        if not ruled.is_allowed:
            uow.effects.append(
                WithdrawMail(
                    withdrawal_id=ids.digest("withdrawal", sent.send_id, ruled.rule),
                    customer_id=uow.customer_id,
                    send_id=sent.send_id,
                    rule=ruled.rule,
                    withdrawn_at=uow.now,
                )
            )


def _named(uow: UnitOfWork, line: PolicyLine, country: str) -> str:
    built_in = "built-in " if uow.ruleset.consent_policy.is_built_in else ""
    where = f"{ANY_COUNTRY} ({country})" if line.country == ANY_COUNTRY else line.country
    return f"{built_in}{line.purpose}/{where} is {line.verdict}"


def _suppression(known: Consent, purpose: str) -> str | None:
    if known.unsubscribed and known.is_unsubscribed(purpose):
        return "unsubscribed"
    if known.hard_bounced:
        return "hard_bounced"
    if known.complained:
        return "complained"
    return "soft_bounces" if known.soft_bounces >= SOFT_BOUNCES_IN_A_ROW else None


def _soft_opt_in(uow: UnitOfWork, line: PolicyLine, basis: str) -> ConsentDecision:
    """ePrivacy 13(2): the address was got in a sale, and the customer did not object."""
    if uow.purchases < 1:
        return ConsentDecision(False, "no_soft_opt_in", f"{basis}: bought nothing")
    sale, sold_at = _last_sale(uow)
    if line.within is not None:
        lasts = local_time.scale(line.within, uow.ruleset.day_scale)
        if sold_at is None or uow.now - sold_at > lasts:
            return ConsentDecision(False, "soft_opt_in_ended", f"{basis}: bought nothing for {line.within.days} days")
    if sale is None or sale.facts is None:
        return ConsentDecision(True, "soft_opt_in", f"{basis}: an order that is no longer remembered")
    said = _evidence(f"order {sale.order_id}", sold_at, sale.facts.country, uow.consent.notice)
    return ConsentDecision(True, "soft_opt_in", f"{basis}: {said}")


def _last_sale(uow: UnitOfWork) -> tuple[OrderState | None, datetime | None]:
    """The newest remembered order that was not cancelled, and when it was placed."""
    best, placed_at = None, None
    for order in uow.orders:
        if order.facts is None or not order.placed or order.cancelled_at is not None:
            continue
        if placed_at is None or order.facts.placed_at > placed_at:
            best, placed_at = order, order.facts.placed_at
    return best, placed_at


def _evidence(what: str, at: datetime | None, country: str, notice: str) -> str:
    words = [what]
    if at is not None:
        words.append(f"of {at.date().isoformat()}")
    if country:
        words.append(f"in {country}")
    if notice:
        words.append(f"by notice {notice}")
    return " ".join(words)
