"""The choices of a recipient: what to do with an email, and when. The seed and the email determine them."""

from __future__ import annotations

import hashlib
import random
from typing import Literal, TypeAlias

from msgspec import Struct

from streams.settings import DAY_S
from streams.tools.local.recipients.links import EmailLinks
from streams.tools.local.shop.reactions import OPEN_RATE, PROXY_SHARE

#: The acts of a recipient: `pixel` is their mail program's request, `scan` their mail server's.
Act: TypeAlias = Literal[
    "pixel", "scan", "click", "answer", "review", "enter", "reorder", "leave", "leave at once", "prefer", "confirm"
]
#: Share of the mailboxes whose mail server follows all links of an email when it arrives.
SCANNER_SHARE = 0.04
#: Use of a link -> what its reader does, with its share of the readers. A reader does at most one of these, the first in this order.
READERS: tuple[tuple[str, Act, float], ...] = (
    ("a", "confirm", 0.9),
    ("s", "answer", 0.5),
    ("k", "enter", 0.5),
    ("r", "review", 0.3),
    ("b", "reorder", 0.08),
    ("c", "click", 0.25),
    ("p", "prefer", 0.04),
    ("u", "leave", 0.02),
)
ONE_CLICK_SHARE = 0.01
#: A person does nothing in the first seconds after an email arrived. The flows take faster clicks for those of a machine.
LEAST_DELAY_DAYS = 15 / DAY_S


class Step(Struct, frozen=True):
    """One thing that a recipient does, `after_days` after the email arrived."""

    after_days: float
    act: Act


def random_of(seed: int, *parts: str) -> random.Random:
    """Return random numbers that the seed and the parts determine."""
    text = "/".join((str(seed), *parts))
    return random.Random(hashlib.blake2b(text.encode(), digest_size=8).digest())


def is_read(seed: int, send_id: str, share: float) -> bool:
    """Return whether an email is read. `share`: of the emails that are usually read, how many are."""
    return random_of(seed, "read", send_id).random() < OPEN_RATE * share


def is_scanned(seed: int, address: str) -> bool:
    """Return whether the mail server of an address follows the links of its emails."""
    return random_of(seed, "scanner", address).random() < SCANNER_SHARE


def has_proxy(seed: int, address: str) -> bool:
    """Return whether the mail program of an address loads pictures through a privacy proxy."""
    return random_of(seed, "proxy", address).random() < PROXY_SHARE


def steps_of(seed: int, send_id: str, links: EmailLinks) -> list[Step]:
    """Return what the reader of an email does, in the order of time."""
    rng = random_of(seed, "steps", send_id)
    read_after = max(min(rng.lognormvariate(-3.0, 1.2), 5.0), LEAST_DELAY_DAYS)
    steps = [Step(read_after, "pixel")] if "o" in links.pages else []
    act_after = read_after + rng.uniform(0.0005, 0.01)
    for use, act, share in READERS:
        if rng.random() < share and use in links.pages:
            return [*steps, Step(act_after, act)]
    if rng.random() < ONE_CLICK_SHARE and links.one_click:
        steps.append(Step(act_after, "leave at once"))
    return steps


def pause_s(rng: random.Random, day_s: float) -> float:
    """Return the seconds between loading a page and submitting its form."""
    return min(rng.uniform(0.0005, 0.01) * day_s, 20.0)
