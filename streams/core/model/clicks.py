"""Clicks that are held until it is clear whether a person or a scanner made them.

Mail scanners follow the links of an email when it arrives, and call themselves browsers. Their timing gives them away: they follow several
links within seconds, or one before a person could have read a line. A person's clicks only count after the hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct

from streams.core.values import ids
from streams.core.values.local_time import scale

#: The classes of the clients that open emails and follow links.
AgentClass: TypeAlias = Literal["human", "privacy_proxy", "scanner", "unknown"]

# The lengths are multiplied by the scale of a day, like all waits.
#: How long a click is held, and the longest pause between two clicks that are judged together.
HOLD = timedelta(seconds=10)
#: A click so soon before or after the email arrived is not a person's. Clocks differ a little.
TOO_SOON = timedelta(seconds=1.5)
#: So many different links within so short a time are not followed by a person.
MOST_LINKS: tuple[tuple[int, timedelta], ...] = ((2, timedelta(seconds=1)), (3, HOLD))
#: The step of the timer that ends a hold. Steps of flows are numbers.
STEP = "clicks"


class HeldClick(Struct, frozen=True, gc=False, array_like=True):
    """A click on a link of an email. Once it is judged, only what later clicks are compared with stays.

    Attributes:
        send_id: the email.
        fingerprint: of the link.
        at: when the link was clicked, UTC.
        agent: the class of the client, before the judgement that of the writer.
        link: the address; "" once the click is judged.
        due_at: the end of the hold, UTC; None once the click is judged.
    """

    send_id: str
    fingerprint: bytes
    at: datetime
    agent: AgentClass
    link: str = ""
    due_at: datetime | None = None

    @property
    def order(self) -> tuple[datetime, str, str]:
        """The place among the clicks that are released together: their order of arrival does not matter."""
        return self.at, self.link, self.agent


def link_fingerprint(link: str) -> bytes:
    """Return the fingerprint of a link."""
    return ids.fingerprint("link", link)


def scanner_clicks(
    clicks: Iterable[HeldClick], arrived_at: Collection[datetime], day_scale: float = 1.0
) -> frozenset[HeldClick]:
    """Return the clicks on one email that a scanner made. Neither their order nor repetitions matter.

    Args:
        clicks: the clicks, held or judged.
        arrived_at: when the email arrived, as far as it is known, UTC.
        day_scale: the length of a day, in days.
    """
    found: set[HeldClick] = set()
    for burst in _bursts(sorted(set(clicks), key=lambda click: (click.at, click.fingerprint)), scale(HOLD, day_scale)):
        is_too_soon = any(
            abs(click.at - arrived) < scale(TOO_SOON, day_scale) for click in burst for arrived in arrived_at
        )
        if is_too_soon or any(click.agent == "scanner" for click in burst) or _is_fast(burst, day_scale):
            found.update(burst)
    return frozenset(found)


def kept(clicks: Iterable[HeldClick], most: int) -> tuple[HeldClick, ...]:
    """Return each click once, without the oldest judged ones if there are more than `most`."""
    ordered = sorted(set(clicks), key=lambda click: (click.due_at is not None, click.at, click.send_id, click.link))
    judged = sum(click.due_at is None for click in ordered)
    return tuple(ordered[min(judged, max(0, len(ordered) - most)) :])


def _bursts(ordered: Sequence[HeldClick], pause: timedelta) -> Iterable[list[HeldClick]]:
    """Yield the clicks, sorted by time, in groups without a longer pause."""
    burst: list[HeldClick] = []
    for click in ordered:
        if burst and click.at - burst[-1].at > pause:
            yield burst
            burst = []
        burst.append(click)
    if burst:
        yield burst


def _is_fast(burst: Sequence[HeldClick], day_scale: float) -> bool:
    return any(
        len({other.fingerprint for other in burst[place:] if other.at - click.at <= scale(length, day_scale)}) >= count
        for count, length in MOST_LINKS
        for place, click in enumerate(burst)
    )
