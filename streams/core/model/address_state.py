"""The state of one email address: what its owners refused and allowed, and which emails it got. Immutable and bounded.

The state has times instead of answers, so that the order in which events arrive does not matter. For `array_like` see customer.py.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.model.versioned_codec import VersionedCodec


class Refusal(Struct, frozen=True, gc=False, array_like=True):
    """The newest refusal of `scope` for one reason."""

    scope: str
    reason: str
    at: datetime


class CountedSend(Struct, frozen=True, gc=False, array_like=True):
    """An email to the address.

    Attributes:
        at: when it was commanded (UTC).
        fingerprint: that of its send id.
        purpose: its purpose; "" for a transactional email.
    """

    at: datetime
    fingerprint: bytes
    purpose: str


class AddressState(Struct, frozen=True, gc=False, array_like=True):
    """The state of one address.

    Attributes:
        refusals: sorted by scope and reason.
        consents: the newest explicit yes to each scope, as (scope, time), sorted.
        hard_bounced_at: when the mailbox was last reported as missing.
        complained_at: when an email was last reported as spam.
        sends: the newest emails, the oldest first.
    """

    refusals: tuple[Refusal, ...] = ()
    consents: tuple[tuple[str, datetime], ...] = ()
    hard_bounced_at: datetime | None = None
    complained_at: datetime | None = None
    sends: tuple[CountedSend, ...] = ()


class Suppression(Struct, frozen=True, gc=False):
    """Everything that a mailer must know of an address.

    Attributes:
        suppressed: the purposes of which it gets no email, with the rule, sorted.
        capped: the purposes whose cap is full, and until when (UTC), sorted.
        limited_until: until when it gets no transactional email (UTC), or None.
    """

    suppressed: tuple[tuple[str, str], ...] = ()
    capped: tuple[tuple[str, datetime], ...] = ()
    limited_until: datetime | None = None


NOTHING_SUPPRESSED = Suppression()
NEW_ADDRESS = AddressState()

VERSION = 1
_CODEC: VersionedCodec[AddressState] = VersionedCodec(AddressState, "address state", VERSION)
encode_address = _CODEC.encode
decode_address = _CODEC.decode
