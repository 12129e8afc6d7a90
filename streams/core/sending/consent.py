"""Whether a customer may receive an email of some purpose: by the consent policy, the customer's answers and purchases."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.model.consent import Consent
from streams.core.model.customer import NO_YEAR
from streams.core.model.effects import WithdrawMail
from streams.core.model.orders.order_state import OrderState, newest_sale
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import ANY_COUNTRY, OWN_SCOPES, TRACKING, PolicyLine, is_transactional
from streams.core.values import ids, local_time
from streams.core.values.locale_countries import likely_country, region_of

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
    """Return the customer's country (ISO 3166-1 alpha-2): that of the profile, else the order's, else the shop's."""
    facts = order.facts if order is not None else None
    return uow.profile.country or (facts.country if facts is not None else "") or uow.ruleset.shop.country


def known_countries(uow: UnitOfWork, order: OrderState | None) -> list[str]:
    """Return every country whose law may apply (ISO 3166-1 alpha-2), at least one, the likeliest first.

    These are the countries of the profile, of the orders and their deliveries, and the regions of their locales. If no profile and no order
    has a country, they are also the shop's, and those where the locales' languages are spoken.

    Args:
        uow: the customer.
        order: the order that the email is about, if any.
    """
    profile, facts = (
        uow.profile,
        [stored.facts for stored in (order, *uow.orders) if stored is not None and stored.facts],
    )
    locales = [profile.locale, *(each.locale for each in facts)]
    countries = [country_of(uow, order), profile.country, profile.stated_country]
    for each in facts:
        countries += (each.country, each.ship_country)
    countries += map(region_of, locales)
    if not (profile.country or any(each.country for each in facts)):
        countries += map(likely_country, locales)
    return [country for country in dict.fromkeys(countries) if country]


def may_track(uow: UnitOfWork, purpose: str, order: OrderState | None) -> bool:
    """Return whether opens and clicks of an email may be measured: never those of a transactional one.

    Args:
        uow: the customer.
        purpose: the purpose of the email.
        order: the order that the email is about, if any.
    """
    if is_transactional(purpose) or uow.consent.tracking is False:
        return False
    line, _ = uow.ruleset.consent_policy.strictest(TRACKING, known_countries(uow, order))
    return line.verdict == "allowed" or uow.consent.tracking is True


def allows_any_hour(uow: UnitOfWork, purpose: str, order: OrderState | None) -> bool:
    """Return whether an email that the customer waits for may come in the quiet hours.

    One for marketing may only in countries where the policy allows it without consent.
    """
    if purpose != "marketing":
        return True
    line, _ = uow.ruleset.consent_policy.strictest(purpose, known_countries(uow, order))
    return line.verdict == "allowed"


def decide(uow: UnitOfWork, purpose: str, order: OrderState | None) -> ConsentDecision:
    """Decide whether the customer may receive an email now, by the strictest line of all countries whose law may apply.

    Unsubscriptions, suppressed addresses and the minimum age take precedence over every line of the policy. Then an answer to the question
    for this purpose counts more than an answer about marketing, and either counts more than a purchase.

    Args:
        uow: the customer.
        purpose: the purpose of the email.
        order: the order that the email is about, if any.
    """
    consent = uow.consent
    if is_transactional(purpose):
        basis = f"{purpose}/{ANY_COUNTRY} is allowed"
        if consent.is_opted_out(purpose):  # only service emails have a scope to unsubscribe from
            return ConsentDecision(False, "unsubscribed", basis)
        return ConsentDecision(True, "transactional", basis)
    if uow.is_shared:
        return ConsentDecision(False, "shared_id", "several people share this customer id")
    countries = known_countries(uow, order)
    line, country = uow.ruleset.consent_policy.strictest(purpose, countries)
    basis = _basis(uow, line, country)
    suppression = _suppression(consent, purpose)
    if suppression is not None:
        return ConsentDecision(False, suppression, basis)
    minimum_age, country = uow.ruleset.consent_policy.highest_minimum_age(countries)
    if _is_younger_than(uow, minimum_age, order):
        text = f"the customer is younger than {minimum_age}, the minimum age in {country}"
        return ConsentDecision(False, "under_age", f"{basis}; {text}")
    answer = consent.answer(purpose) if purpose in OWN_SCOPES else None
    if answer is not None:
        text = f"{'yes' if answer.is_yes else 'no'} to {purpose}"
        evidence = _evidence(text, answer.at, answer.country, answer.notice) + _after_unsubscription(consent, purpose)
        return ConsentDecision(answer.is_yes, "own_opt_in" if answer.is_yes else "no_consent", f"{basis}: {evidence}")
    if line.verdict == "own_opt_in":
        return ConsentDecision(False, "no_own_opt_in", f"{basis}: never said yes to {purpose}")
    if consent.marketing is not None:
        text = f"{'yes' if consent.marketing else 'no'} to marketing"
        evidence = _evidence(text, consent.marketing_at, consent.marketing_country, consent.marketing_notice)
        evidence += _after_unsubscription(consent, purpose)
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
    if consent.bad_address_at is not None:
        return "bad_address"
    if consent.complained:
        return "complained"
    return "soft_bounces" if consent.soft_bounces >= SOFT_BOUNCES_IN_A_ROW else None


def _is_younger_than(uow: UnitOfWork, years: int, order: OrderState | None) -> bool:
    """Return whether the customer is younger than `years`, on the customer's calendar. False if the year of the birthday is unknown.

    In years without a 29 February, customers who were born on one become older on 1 March, which is the later of the two days that
    laws name.
    """
    born = uow.profile.birthday
    if born is None or born.year <= NO_YEAR:
        return False
    today = uow.now.astimezone(uow.zone_of(order)).date()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day)) < years


def _after_unsubscription(consent: Consent, purpose: str) -> str:
    """Return the evidence of the "yes" that counts more than an unsubscription, as the end of a text; "" without an unsubscription."""
    texts = []
    for scope in dict.fromkeys(("marketing", purpose)):
        yes, left_at = consent.resubscription(scope, purpose), consent.unsubscription_at(scope)
        if scope in consent.unsubscribed and yes is not None and left_at is not None:
            text = _evidence(f"yes to {yes.purpose}", yes.at, yes.country, yes.notice)
            source = f" at {yes.source}" if yes.source else ""
            texts.append(f"; {text}{source}, after unsubscribing from {scope} on {left_at.date().isoformat()}")
    return "".join(texts)


def _soft_opt_in(uow: UnitOfWork, line: PolicyLine, basis: str) -> ConsentDecision:
    """Decide by ePrivacy Directive, article 13(2): the shop got the address in a sale, and the customer did not object."""
    if uow.purchases < 1:
        return ConsentDecision(False, "no_soft_opt_in", f"{basis}: no purchase")
    order = newest_sale(uow.orders)
    placed_at = order.facts.placed_at if order is not None and order.facts is not None else None
    if line.within is not None:
        period = local_time.scale(line.within, uow.ruleset.day_scale)
        if placed_at is None or uow.now - placed_at > period:
            return ConsentDecision(False, "soft_opt_in_ended", f"{basis}: no purchase for {line.within.days} days")
    if order is None or order.facts is None:
        return ConsentDecision(True, "soft_opt_in", f"{basis}: an order that is no longer remembered")
    evidence = _evidence(f"order {order.order_id}", placed_at, order.facts.country, uow.consent.notice)
    return ConsentDecision(True, "soft_opt_in", f"{basis}: {evidence}")


def _evidence(text: str, at: datetime | None, country: str, notice: str) -> str:
    parts = [text]
    if at is not None:
        parts.append(f"of {at.date().isoformat()}")
    if country:
        parts.append(f"in {country}")
    if notice:
        parts.append(f"by notice {notice}")
    return " ".join(parts)
