"""How recipients react to emails on Kafka: they open, click, unsubscribe and complain, without a gateway."""

from __future__ import annotations

import hashlib
import random
from datetime import datetime, timedelta

from streams.tools.local.shop.lines import Record

#: Shares of all emails that arrive. Only opened emails are clicked.
OPEN_RATE = 0.617
CLICK_RATE = 0.04
UNSUBSCRIBE_RATE = 0.002
COMPLAINT_RATE = 0.0003
#: Share of the opens that come from the privacy proxy of a mail client.
PROXY_SHARE = 0.35


def reaction(seed: int, day_s: float, send_id: str, customer_id: str, at: datetime) -> list[tuple[float, Record]]:
    """Return how the recipient reacts to an email that arrived at `at`: pairs of delay in seconds and engagement record.

    The same send always gets the same reaction. The time of a record is `at` plus the delay. `day_s` is the seconds that one day takes.
    """
    rng = random.Random(hashlib.blake2b(f"{seed}/{send_id}".encode(), digest_size=8).digest())
    interest = rng.random()  # one number for both, so that only opened emails are clicked
    open_after = min(rng.lognormvariate(-3.0, 1.2), 5.0) * day_s
    click_after = open_after + rng.uniform(0.0005, 0.01) * day_s
    is_proxy, complaint, link = rng.random() < PROXY_SHARE, rng.random(), rng.choice(("order", "product", "track"))
    reactions: list[tuple[float, Record]] = []

    def react(delay_s: float, kind: str, **more: object) -> None:
        record: Record = {
            "customer_id": customer_id,
            "send_id": send_id,
            "kind": kind,
            "occurred_at": at + timedelta(seconds=delay_s),
            "link": None,
            "agent": "unknown",
        }
        reactions.append((delay_s, {**record, **more}))

    if interest < OPEN_RATE:
        react(open_after, "opened", agent="privacy_proxy" if is_proxy else "human")
    if interest < CLICK_RATE:
        react(click_after, "clicked", agent="human", link=f"https://shop.example/{link}")
    if complaint < COMPLAINT_RATE:
        react(click_after, "complained")
    elif complaint < COMPLAINT_RATE + UNSUBSCRIBE_RATE:
        react(click_after, "unsubscribed", scope="marketing", agent="human")
    return reactions
