"""The stored records of code pools: their fields, keys and bytes.

All entries of a pool are on the partition of its name, so that a single writer grants its codes. The keys, as text:

    pool/<pool>            the counters: where the queues of codes and of waiting claims start and end
    code/<pool>/<number>   a code in stock
    wait/<pool>/<number>   a waiting claim, in the order of arrival
    seen/<digest>          a code is known: if it arrives again, it is not stocked again
    asked/<pool>/<reward>  a claim is known, with its result: if it arrives again, it gets the same code

Rows of `code` and `wait` are deleted when a code is granted. `seen` and `asked` stay, at about a hundred bytes for each code.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from streams.core.model.versioned_codec import VersionedCodec
from streams.core.values import ids


class Pool(Struct, frozen=True, gc=False, array_like=True, tag="pool"):
    """The counters of a pool: of each queue the number of its oldest row, and the number of the next row.

    One of the two queues is always empty.
    """

    first_code: int = 0
    next_code: int = 0
    first_claim: int = 0
    next_claim: int = 0

    @property
    def stock(self) -> int:
        """The codes in stock. Some may have expired since."""
        return self.next_code - self.first_code

    @property
    def waiting(self) -> int:
        """The waiting claims. Some may have given up since."""
        return self.next_claim - self.first_claim


class Code(Struct, frozen=True, gc=False, array_like=True, tag="code"):
    """A code of the shop for `pool`, valid until `expires_at` (UTC; None: without end)."""

    pool: str
    code: str
    expires_at: datetime | None = None


class Claim(Struct, frozen=True, gc=False, array_like=True, tag="claim"):
    """An instance claims a code of `pool`, and waits for it until `give_up_at` (UTC)."""

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
    """The instance of a claim no longer waits, and used no code. `give_up_at` is the claim's (UTC)."""

    pool: str
    reward_id: str
    give_up_at: datetime


#: The messages to a pool.
PoolMessage: TypeAlias = Code | Claim | Withdrawal


class KnownCode(Struct, frozen=True, gc=False, array_like=True, tag="seen"):
    """The mark that a code has arrived."""


class ClaimRecord(Struct, frozen=True, gc=False, array_like=True, tag="asked"):
    """The result of a claim: the code that it got at `at` (UTC).

    With neither, the claim waits. With `at` alone, it was withdrawn then.
    """

    code: str = ""
    expires_at: datetime | None = None
    at: datetime | None = None


#: An entry of the table. New fields go to the end of a class and need a default, since the encoding has no field names.
Entry: TypeAlias = Pool | Code | Claim | KnownCode | ClaimRecord

VERSION = 1
_CODEC: VersionedCodec[Entry] = VersionedCodec(Entry, "code pool entry", VERSION)
encode_entry = _CODEC.encode
decode_entry = _CODEC.decode


def pool_key(pool: str) -> bytes:
    """Return the key of a pool's counters."""
    return f"pool/{pool}".encode()


def code_key(pool: str, number: int) -> bytes:
    """Return the key of a code in stock."""
    return f"code/{pool}/{number}".encode()


def claim_key(pool: str, number: int) -> bytes:
    """Return the key of a waiting claim."""
    return f"wait/{pool}/{number}".encode()


def known_code_key(code: Code) -> bytes:
    """Return the key of the mark that `code` has arrived."""
    return f"seen/{ids.digest('code', code.pool, code.code)}".encode()


def claim_record_key(claim: Claim | Withdrawal) -> bytes:
    """Return the key of a claim's result."""
    return f"asked/{claim.pool}/{claim.reward_id}".encode()
