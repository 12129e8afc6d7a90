"""Deterministic bucketing: a hash of names and the customer id assigns each customer to a share, always the same one."""

from __future__ import annotations

from streams.core.values import ids

#: The number of buckets: a share may be as small as a hundredth of a percent.
BUCKETS = 10_000


def bucket(*names: str) -> int:
    """Return the bucket of `names`, from 0 to 9,999. Over many customers the buckets are equally frequent."""
    return int.from_bytes(ids.fingerprint(*names), "big") % BUCKETS


def in_share(percent: int, *names: str) -> bool:
    """Return whether the bucket of `names` belongs to the share of the first `percent` percent."""
    return bucket(*names) < percent * 100
