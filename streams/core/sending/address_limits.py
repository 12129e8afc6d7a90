"""The limits of an email address, whichever customer ids use it: suppressed purposes, frequency caps, and a bound for transactional emails.

Consent and caps of a customer (`consent.py`, `smart_sending.py`) hold for one customer id. Shops give one person several: each order of a guest
may have its own. So the same limits hold for the address too.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from streams.core.model.address_state import AddressState, CountedSend, Refusal, Suppression
from streams.core.model.effects import NoteAddress
from streams.core.rules.consent_policy import OWN_SCOPES, PURPOSES, is_transactional
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.sending_rules import TRANSACTIONAL_PER_ADDRESS, Cap
from streams.core.values import ids, local_time

#: The rules of the mailer.
SUPPRESSED, CAPPED, LIMITED = "address_suppressed", "address_cap", "address_limit"
#: The reasons of a refusal: the link or the button in an email, which ends every email of the scope, and the answer to a question.
UNSUBSCRIBED, ANSWERED_NO = "unsubscribed", "answered_no"
#: The purposes that a person can refuse.
_REFUSABLE = tuple(purpose for purpose in PURPOSES if not is_transactional(purpose))
#: The emails of each purpose that are remembered: as many as a cap can count (`definitions.language.rules.MOST`).
_SENDS_PER_PURPOSE = 20
_DAY = timedelta(days=1)


class AddressRules(Struct, frozen=True):
    """The limits of every address.

    Attributes:
        caps: the caps, which hold for each customer too.
        transactional: the transactional emails per day.
        day_scale: the length of a day, in days.
    """

    caps: tuple[Cap, ...] = ()
    transactional: int = TRANSACTIONAL_PER_ADDRESS
    day_scale: float = 1.0


def rules_of(ruleset: Ruleset) -> AddressRules:
    """Return the limits of every address in a shop."""
    return AddressRules(ruleset.rules.caps, ruleset.transactional_per_address, ruleset.day_scale)


def apply(state: AddressState, event: NoteAddress, rules: AddressRules) -> AddressState:
    """Return the state after an event. The order of events does not matter, and a repeated one changes nothing.

    A kind of event that this version does not know changes nothing either.
    """
    at = event.occurred_at
    if event.kind == "sent":
        return _with_send(state, event, rules)
    if event.kind == "refused":
        if is_transactional(event.scope):
            return state  # written by an earlier version: an opt-out of service emails holds for the customer id only
        scope = event.scope if event.scope in OWN_SCOPES else "marketing"
        # An unknown reason counts as the one that ends more emails.
        reason = event.reason if event.reason == ANSWERED_NO else UNSUBSCRIBED
        newest = {(each.scope, each.reason): each.at for each in state.refusals}
        newest[scope, reason] = max(at, newest.get((scope, reason), at))
        return replace(state, refusals=tuple([Refusal(*key, newest[key]) for key in sorted(newest)]))
    if event.kind == "consented" and event.scope in _REFUSABLE:
        yes = dict(state.consents)
        yes[event.scope] = max(at, yes.get(event.scope, at))
        return replace(state, consents=tuple(sorted(yes.items())))
    if event.kind == "bounced_hard":
        return replace(state, hard_bounced_at=max(at, state.hard_bounced_at or at))
    if event.kind == "complained":
        return replace(state, complained_at=max(at, state.complained_at or at))
    return state


def without_send(state: AddressState, send_id: str) -> AddressState:
    """Return the state as if the email `send_id` had not been counted."""
    fingerprint = ids.fingerprint(send_id)
    return replace(state, sends=tuple([sent for sent in state.sends if sent.fingerprint != fingerprint]))


def _with_send(state: AddressState, event: NoteAddress, rules: AddressRules) -> AddressState:
    purpose = "" if event.is_transactional else event.purpose
    if purpose and purpose not in _REFUSABLE:
        purpose = "marketing"  # of a newer version
    fingerprint = ids.fingerprint(event.send_id or "")
    if any(sent.fingerprint == fingerprint for sent in state.sends):
        return state
    counted = CountedSend(event.occurred_at, fingerprint, purpose)
    sends = sorted([*state.sends, counted], key=lambda sent: (sent.at, sent.fingerprint))
    longest = max([_DAY, *(cap.per for cap in rules.caps)])
    since = sends[-1].at - local_time.scale(longest, rules.day_scale)
    kept: list[CountedSend] = []
    counts: dict[str, int] = {}
    for sent in reversed(sends):
        most = _SENDS_PER_PURPOSE if sent.purpose else rules.transactional
        counts[sent.purpose] = counts.get(sent.purpose, 0) + 1
        if sent.at > since and counts[sent.purpose] <= most:
            kept.append(sent)
    return replace(state, sends=tuple(reversed(kept)))


def suppression_of(state: AddressState, rules: AddressRules) -> Suppression:
    """Return everything that a mailer must know of an address. It depends on the state alone, not on the time."""
    suppressed = [(purpose, rule) for purpose in _REFUSABLE if (rule := _refusal(state, purpose)) is not None]
    capped = [(purpose, until) for purpose in _REFUSABLE if (until := _capped_until(state, purpose, rules)) is not None]
    transactional = [sent.at for sent in state.sends if not sent.purpose]
    limited_until = _full_until(transactional, rules.transactional, local_time.scale(_DAY, rules.day_scale))
    return Suppression(tuple(sorted(suppressed)), tuple(sorted(capped)), limited_until)


def _refusal(state: AddressState, purpose: str) -> str | None:
    """Return why the address gets no email of `purpose`, or None.

    A newer yes to the refused scope ends a refusal, and one to the purpose ends it for this purpose. Nothing ends a complaint.
    """
    if state.complained_at is not None:
        return "complained"
    yes = dict(state.consents)
    for refusal in state.refusals:
        if refusal.scope not in ("marketing", purpose):
            continue
        accepted = [at for scope, at in yes.items() if scope in (refusal.scope, purpose)]
        # An answer to the question for this purpose is apart from the one to marketing.
        has_own_answer = refusal.reason == ANSWERED_NO and refusal.scope != purpose and purpose in yes
        if not has_own_answer and refusal.at >= max(accepted, default=refusal.at):
            return refusal.reason
    if state.hard_bounced_at is not None and state.hard_bounced_at >= max(yes.values(), default=state.hard_bounced_at):
        return "hard_bounced"
    return None


def _capped_until(state: AddressState, purpose: str, rules: AddressRules) -> datetime | None:
    """Return until when a cap that covers `purpose` is full (UTC), or None."""
    ends = []
    for cap in rules.caps:
        if cap.covers(purpose):
            taken = [sent.at for sent in state.sends if sent.purpose and cap.covers(sent.purpose)]
            ends.append(_full_until(taken, cap.most, local_time.scale(cap.per, rules.day_scale)))
    return max([end for end in ends if end is not None], default=None)


def _full_until(taken: list[datetime], most: int, per: timedelta) -> datetime | None:
    """Return until when `most` emails fill a period of length `per`; None if they do not. `taken` is in ascending order."""
    if len(taken) < most or taken[-most] + per <= taken[-1]:
        return None
    return taken[-most] + per


def find_rule(suppression: Suppression, purpose: str, commanded_at: datetime) -> tuple[str, str] | None:
    """Return the rule that forbids an email to the address, and its detail; None if it may be sent.

    Caps count by the time of the command, as those of the customer do: the mail server's delays do not shift them.

    Args:
        suppression: what is known of the address.
        purpose: the purpose of the email.
        commanded_at: when it was decided (UTC).
    """
    if is_transactional(purpose):
        return _until(LIMITED, suppression.limited_until, commanded_at)
    rule = dict(suppression.suppressed).get(purpose)
    if rule is not None:
        return SUPPRESSED, rule
    return _until(CAPPED, dict(suppression.capped).get(purpose), commanded_at)


def _until(rule: str, until: datetime | None, at: datetime) -> tuple[str, str] | None:
    return (rule, f"until {local_time.text_of(until)}") if until is not None and at < until else None
