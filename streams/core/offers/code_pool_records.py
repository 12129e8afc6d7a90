"""What a code pool's table contains: the records, their keys and their bytes.

A pool is stored on the partition of its name, so that one writer gives its codes out. The keys of a table, as text:

    pool/<pool>            where the rows of codes and of waiting claims begin and end
    code/<pool>/<number>   a code that is in stock
    wait/<pool>/<number>   a claim that waits, in the order in which they came
    seen/<digest>          a code was told: one that is told again is not stocked again
    asked/<pool>/<reward>  a claim was made, and what became of it: told again, it gets the same

What is in stock and what waits is taken away when it is given; `seen` and `asked` stay, a hundred bytes or so for a code.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from streams.core.model.versioned_codec import VersionedCodec
from streams.core.values import ids


class Pool(Struct, frozen=True, gc=False, array_like=True, tag="pool"):
    """The numbers of a pool's rows: from the first to the one before the next. Of the two rows one is always empty."""

    first_code: int = 0
    next_code: int = 0
    first_claim: int = 0
    next_claim: int = 0

    @property
    def stock(self) -> int:
        """Codes in stock; some may have expired since."""
        return self.next_code - self.first_code

    @property
    def waiting(self) -> int:
        """Claims that wait; some may have given up since."""
        return self.next_claim - self.first_claim


class Code(Struct, frozen=True, gc=False, array_like=True, tag="code"):
    """A code of the shop's for `pool`, good until `expires_at` (None: without end)."""

    pool: str
    code: str
    expires_at: datetime | None = None


class Claim(Struct, frozen=True, gc=False, array_like=True, tag="claim"):
    """A run of a flow wants a code of `pool`, and waits for it until `give_up_at`."""

    pool: str
    reward_id: str
    customer_id: str
    flow: str
    flow_version: int
    instance_id: str
    step: str
    order_id: str | None
    give_up_at: datetime


class Withdrawal(Struct, frozen=True, gc=False):
    """The run that made a claim waits no longer, and did not use what it may have got. `give_up_at` is that of the claim."""

    pool: str
    reward_id: str
    give_up_at: datetime


#: What comes to a pool.
Told: TypeAlias = Code | Claim | Withdrawal


class Seen(Struct, frozen=True, gc=False, array_like=True, tag="seen"):
    """A code was told."""


class Asked(Struct, frozen=True, gc=False, array_like=True, tag="asked"):
    """A claim was made: the code that it got at `at`. With neither it waits, and with `at` alone it was withdrawn then."""

    code: str = ""
    expires_at: datetime | None = None
    at: datetime | None = None


#: What lies in the table. New fields go to the end, with a default: the place is the name in the encoded form.
Entry: TypeAlias = Pool | Code | Claim | Seen | Asked

VERSION = 1


_CODEC: VersionedCodec[Entry] = VersionedCodec(Entry, "code pool entry", VERSION)
encode_entry = _CODEC.encode
decode_entry = _CODEC.decode


def pool_key(pool: str) -> bytes:
    """The key under which a pool's numbers lie."""
    return f"pool/{pool}".encode()


def seen_key(code: Code) -> bytes:
    """Return the key of the mark that `code` is known."""
    return f"seen/{ids.digest('code', code.pool, code.code)}".encode()


def asked_key(claim: Claim | Withdrawal) -> bytes:
    return f"asked/{claim.pool}/{claim.reward_id}".encode()


def code_key(pool: str, number: int) -> bytes:
    return f"code/{pool}/{number}".encode()


def claim_key(pool: str, number: int) -> bytes:
    return f"wait/{pool}/{number}".encode()
