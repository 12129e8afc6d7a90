"""Chance without chance: a hash of names and customer says who falls into a share. The same customer always falls the same way."""

from __future__ import annotations

from streams.core.values import ids

#: A hundredth of a percent is the finest share.
BUCKETS = 10_000


def bucket(*names: str) -> int:
    """A number from 0 to 9,999 that stands for `names`; over many customers each is as frequent as the others."""
    return int.from_bytes(ids.mark(*names), "big") % BUCKETS


def in_share(percent: int, *names: str) -> bool:
    """Whether `names` fall into a share of `percent`."""
    return bucket(*names) < percent * 100
