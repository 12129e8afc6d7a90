"""The discount codes that the simulated shop gives to flows."""

from __future__ import annotations

import random

from streams.tools.local.shop.lines import Record

#: The pools of shipped flows that send no email, or another one, without a code.
POOLS = ("big-spender", "frequent-buyer", "surprise", "favourite")
#: Codes of each pool: more than the customers of a demo get.
CODES = 300
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def codes(seed: int) -> list[Record]:
    """Return the records of the codes of all pools."""
    rng = random.Random(f"codes/{seed}")
    return [
        {"pool": pool, "code": "".join(rng.choices(_LETTERS, k=10)), "expires_at": None}
        for pool in POOLS
        for _ in range(CODES)
    ]
