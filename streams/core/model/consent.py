"""A customer's consent, with its evidence, and the state of the customer's address. For `array_like` and `gc=False` see customer.py."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace


class Answer(Struct, frozen=True, gc=False, array_like=True):
    """The answer to the consent question for one purpose, with the evidence: time, country of residence and notice."""

    purpose: str
    is_yes: bool
    at: datetime
    country: str = ""
    notice: str = ""


class Resubscription(Struct, frozen=True, gc=False, array_like=True):
    """A "yes" with evidence to emails of `purpose`: it counts more than an older unsubscription.

    Attributes:
        purpose: `marketing`, or one with a consent of its own.
        at: when the customer said yes (UTC).
        country: the customer's country of residence.
        notice: the version of the notice that the customer saw.
        source: where the customer said yes, or "".
        wording: the text that the customer agreed to, or "".
    """

    purpose: str
    at: datetime
    country: str = ""
    notice: str = ""
    source: str = ""
    wording: str = ""


class Consent(Struct, frozen=True, gc=False, array_like=True):
    """The customer's consent, and the state of the address.

    Attributes:
        unsubscribed: scopes, sorted. Only a newer "yes" with evidence (`resubscriptions`) counts more.
        soft_bounces: soft bounces since the last delivery.
        answers: the answers to questions for one purpose, sorted by purpose.
        notice: the newest notice that the customer was shown.
        unsubscribed_at: the time of the newest unsubscription from each scope, sorted by scope. Earlier versions did not store it; nothing
            counts more than an unsubscription of unknown time.
        resubscriptions: the newest for each purpose, sorted by purpose.
        bad_address_at: when the shop sent an address of the customer that is not one. None after it sent a valid one.
    """

    marketing: bool | None = None
    marketing_at: datetime | None = None
    tracking: bool | None = None
    tracking_at: datetime | None = None
    unsubscribed: tuple[str, ...] = ()
    hard_bounced: bool = False
    complained: bool = False
    soft_bounces: int = 0
    marketing_country: str = ""
    marketing_notice: str = ""
    answers: tuple[Answer, ...] = ()
    notice: str = ""
    notice_at: datetime | None = None
    unsubscribed_at: tuple[tuple[str, datetime], ...] = ()
    resubscriptions: tuple[Resubscription, ...] = ()
    bad_address_at: datetime | None = None

    def is_unsubscribed(self, purpose: str = "marketing") -> bool:
        """Return whether the customer unsubscribed from `purpose`, or from everything that is not transactional, and has not returned."""
        return any(
            scope in self.unsubscribed and self.resubscription(scope, purpose) is None
            for scope in dict.fromkeys(("marketing", purpose))
        )

    def is_opted_out(self, purpose: str) -> bool:
        """Return whether the customer opted out of a transactional purpose, and has not returned."""
        return purpose in self.unsubscribed and self.resubscription(purpose, purpose) is None

    def unsubscription_at(self, scope: str) -> datetime | None:
        """Return when the customer last unsubscribed from `scope` (UTC), or None if that is unknown."""
        return dict(self.unsubscribed_at).get(scope)

    def resubscription(self, scope: str, purpose: str) -> Resubscription | None:
        """Return the "yes" that lets emails of `purpose` continue after an unsubscription from `scope`, or None.

        A "yes" to marketing does not undo an unsubscription from one purpose. A "yes" to one purpose lets only that one continue.
        """
        left_at = self.unsubscription_at(scope)
        if left_at is None:
            return None
        later = [yes for yes in self.resubscriptions if yes.purpose in (scope, purpose) and yes.at > left_at]
        return max(later, key=lambda yes: yes.at, default=None)

    def with_unsubscription(self, scope: str, at: datetime) -> Consent:
        """Return the consent after an unsubscription from `scope` at `at` (UTC)."""
        times = dict(self.unsubscribed_at)
        times[scope] = max(at, times.get(scope, at))
        return replace(
            self,
            unsubscribed=tuple(sorted({*self.unsubscribed, scope})),
            unsubscribed_at=tuple(sorted(times.items())),
        )

    def with_resubscription(self, yes: Resubscription) -> Consent:
        """Return the consent with a "yes", of which the newest for each purpose counts."""
        stored = {each.purpose: each for each in self.resubscriptions}
        if yes.purpose in stored and yes.at <= stored[yes.purpose].at:
            return self
        stored[yes.purpose] = yes
        return replace(self, resubscriptions=tuple([stored[purpose] for purpose in sorted(stored)]))

    def answer(self, purpose: str) -> Answer | None:
        """Return the answer to the question for `purpose`, or None if there is no answer."""
        for answer in self.answers:
            if answer.purpose == purpose:
                return answer
        return None
