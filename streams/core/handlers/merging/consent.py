"""The consent of two customer ids that are one person: of two answers the stricter one counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import TypeVar

from msgspec.structs import replace

from streams.core.model.consent import Answer, Consent, Resubscription
from streams.core.rules.consent_policy import is_transactional
from streams.core.values.moments import latest

T = TypeVar("T")


def merged_consent(one: Consent, other: Consent) -> Consent:
    """Return the stricter consent of both, in whatever order they are given. The state of the address is that of `one`.

    A no counts more than a yes, whichever is newer, and has the newer time: only a yes after both is newer. An unsubscription counts more
    than the other customer's return. Nobody loses a yes to an answer that was never given.
    """
    stricter = [each for each in (one, other) if each.marketing is False] or [
        each for each in (one, other) if each.marketing is not None
    ]
    marketing = max(stricter, key=_marketing_rank, default=one)
    notice = max(one, other, key=lambda each: (_rank(each.notice_at), each.notice))
    return replace(
        one,
        marketing=marketing.marketing,
        marketing_at=latest(one.marketing_at, other.marketing_at),
        marketing_country=marketing.marketing_country,
        marketing_notice=marketing.marketing_notice,
        tracking=_strictest(one.tracking, other.tracking),
        tracking_at=latest(one.tracking_at, other.tracking_at),
        unsubscribed=tuple(sorted({*one.unsubscribed, *other.unsubscribed})),
        complained=one.complained or other.complained,
        answers=_answers(one, other),
        notice=notice.notice,
        notice_at=notice.notice_at,
        unsubscribed_at=_unsubscribed_at(one, other),
        resubscriptions=_resubscriptions(one, other),
    )


def with_address_of(consent: Consent, others: Iterable[Consent]) -> Consent:
    """Return `consent` with the worst state of an address that all `others` are about: its bounces, and whether it is valid."""
    known = list(others)
    return replace(
        consent,
        hard_bounced=any(each.hard_bounced for each in known),
        soft_bounces=max([each.soft_bounces for each in known], default=0),
        bad_address_at=reduce(latest, [each.bad_address_at for each in known], None),
    )


def _strictest(one: bool | None, other: bool | None) -> bool | None:
    return False if one is False or other is False else one if other is None else other


def _marketing_rank(consent: Consent) -> tuple[tuple[bool, datetime | None], str, str]:
    return _rank(consent.marketing_at), consent.marketing_country, consent.marketing_notice


def _rank(at: datetime | None) -> tuple[bool, datetime | None]:
    """Return a value by which times can be ordered, None first."""
    return at is not None, at


def _answers(one: Consent, other: Consent) -> tuple[Answer, ...]:
    merged: dict[str, Answer] = {}
    for answer in (*one.answers, *other.answers):
        stored = merged.get(answer.purpose)
        if stored is None:
            merged[answer.purpose] = answer
            continue
        stricter = max(stored, answer, key=lambda each: (not each.is_yes, each.at, each.country, each.notice))
        merged[answer.purpose] = replace(stricter, at=max(stored.at, answer.at))
    return tuple([merged[purpose] for purpose in sorted(merged)])


def _unsubscribed_at(one: Consent, other: Consent) -> tuple[tuple[str, datetime], ...]:
    """Return the newest time of each unsubscription. If one of its times is unknown, nothing is known to be newer, so none is stored."""
    times: dict[str, datetime] = {}
    for scope in {*one.unsubscribed, *other.unsubscribed}:
        of_both = [each.unsubscription_at(scope) for each in (one, other) if scope in each.unsubscribed]
        known = [at for at in of_both if at is not None]
        if len(known) == len(of_both):
            times[scope] = max(known)
    return tuple(sorted(times.items()))


def _is_out(consent: Consent, purpose: str) -> bool:
    return consent.is_opted_out(purpose) if is_transactional(purpose) else consent.is_unsubscribed(purpose)


def _resubscriptions(one: Consent, other: Consent) -> tuple[Resubscription, ...]:
    merged: dict[str, Resubscription] = {}
    for each in (*one.resubscriptions, *other.resubscriptions):
        if _is_out(one, each.purpose) or _is_out(other, each.purpose):
            continue
        stored = merged.get(each.purpose, each)
        merged[each.purpose] = max(
            stored, each, key=lambda yes: (yes.at, yes.country, yes.notice, yes.source, yes.wording)
        )
    return tuple([merged[purpose] for purpose in sorted(merged)])
