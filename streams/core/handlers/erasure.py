"""Erasure: removes the data of a customer, and later events about emails of a customer who is no longer known.

A refusal of marketing stays, because it protects the person. Every other later record of the same customer id starts from nothing.
"""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.handlers.customer_pages import hide_customer
from streams.core.handlers.merges import release_aliases
from streams.core.model.consent import Consent
from streams.core.model.customer import Customer, new_customer
from streams.core.model.effects import CancelTimers, Effect, LogDecision, WithdrawMail
from streams.core.model.events import (
    CodeGranted,
    Event,
    MailClicked,
    MailDelivered,
    MailOpened,
    MailReported,
    RetryDue,
    SurveyAnswered,
)
from streams.core.model.person_events import ERASED, CustomerErased
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers.rewards import withdraw_claims
from streams.core.sending.last_outcomes import last_outcome
from streams.core.values import ids, local_time

#: Events that only follow from an email or an instance. If nothing is stored of the customer, they follow from what was erased. Bounces,
#: complaints and unsubscriptions are not among them: whatever leads to less email is stored.
FOLLOW_UPS = frozenset(
    {MailReported, RetryDue, CodeGranted, MailDelivered, MailOpened, MailClicked, SurveyAnswered},
)


def erase(uow: UnitOfWork, event: CustomerErased) -> tuple[Customer, list[Effect]]:
    """Return the state that remains of a customer, and the effects that erase the rest. Flows are not evaluated: none starts or continues.

    Emails that may not have left are withdrawn, transactional ones too: what is needed to send them is erased. The log has one decision
    and no data of the customer. A customer who is not known, or of whom only refusals remain, has no effects.
    """
    if not is_known(uow.state):
        return uow.state, []
    uow.effects.append(
        CancelTimers(
            cancellation_id=ids.digest(ERASED, uow.customer_id, local_time.text_of(event.occurred_at)),
            customer_id=uow.customer_id,
        )
    )
    for sent in uow.sends:
        if sent.outcome == "deferred":  # its retry is cancelled
            uow.effects.append(
                last_outcome(sent, uow.customer_id, uow.now, ERASED, send_id=sent.send_id, purpose=sent.purpose)
            )
        if sent.outcome in (None, "deferred"):
            uow.effects.append(
                WithdrawMail(
                    withdrawal_id=ids.digest("withdrawal", sent.send_id, ERASED),
                    customer_id=uow.customer_id,
                    send_id=sent.send_id,
                    rule=ERASED,
                    withdrawn_at=uow.now,
                )
            )
    uow.instances = ()
    withdraw_claims(uow)
    log = uow.decisions_of("", 0, "", "")
    log.erase(ERASED, "the customer was erased", repeat=local_time.text_of(event.occurred_at))
    remaining = replace(new_customer(uow.customer_id), consent=refusals_of(uow.consent))
    release_aliases(uow, remaining)
    uow.effects += hide_customer(uow)
    return remaining, uow.effects


def follow_up(uow: UnitOfWork, event: Event) -> list[Effect]:
    """Return the effects of one of the `FOLLOW_UPS` for a customer who is not known: a retry is skipped, the others do nothing."""
    if not isinstance(event, RetryDue):
        return []
    return [
        last_outcome(
            None,
            uow.customer_id,
            uow.now,
            ERASED,
            send_id=event.send_id,
            purpose=event.purpose,
            attempt=event.attempt,
        ),
        LogDecision(
            decision_id=ids.decision_id(event.send_id, str(event.attempt), ERASED),
            customer_id=uow.customer_id,
            flow="",
            flow_version=0,
            instance_id="",
            step="",
            outcome="skip",
            rule=ERASED,
            detail="not retried: the customer was erased",
            send_id=event.send_id,
            order_id=None,
            decided_at=uow.now,
        ),
    ]


def is_known(state: Customer) -> bool:
    """Return whether anything is stored of a customer, besides refusals."""
    if state.orders or state.sends or state.seen_fingerprints or state.profile.at is not None:
        return True  # nearly every customer: the comparison below costs more
    return state != Customer(state.customer_id, consent=refusals_of(state.consent))


def refusals_of(consent: Consent) -> Consent:
    """Return what protects the person after the erasure: the scopes of unsubscriptions in force, and each "no".

    A complaint about an email counts as an unsubscription from everything that needs consent, at an unknown time: nothing counts more.
    Bounces belong to the erased address. The time of a refusal stays, so that only a later yes counts; its country and notice do not.
    """
    scopes = {scope for scope in consent.unsubscribed if consent.resubscription(scope, scope) is None}
    if consent.complained:
        scopes.add("marketing")
    refused = consent.marketing is False
    return Consent(
        marketing=False if refused else None,
        marketing_at=consent.marketing_at if refused else None,
        unsubscribed=tuple(sorted(scopes)),
        answers=tuple([replace(answer, country="", notice="") for answer in consent.answers if not answer.is_yes]),
        unsubscribed_at=tuple(
            [
                (scope, at)
                for scope, at in consent.unsubscribed_at
                if scope in scopes and not (consent.complained and scope == "marketing")
            ]
        ),
    )
