"""The effect that notes what happened to an email address. See effects.py for what all effects share."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

AddressEventKind: TypeAlias = Literal["refused", "consented", "bounced_hard", "complained", "sent"]


class NoteAddress(Struct, frozen=True, gc=False, kw_only=True):
    """Note what happened to an email address. It counts for every customer id with this address.

    Attributes:
        address: the keyed hash of the address (see `values.addresses`), as hexadecimal text.
        scope: what was refused or allowed: `marketing`, `review`, `survey` or `profile`; else "".
        reason: how it was refused: `unsubscribed` or `answered_no`; else "".
        send_id: the email that this is about, if any.
        purpose, is_transactional: the purpose of a `sent` email, and whether it is transactional.
    """

    event_id: str
    address: str
    kind: AddressEventKind
    occurred_at: datetime
    scope: str = ""
    reason: str = ""
    send_id: str | None = None
    purpose: str = ""
    is_transactional: bool = False
