"""The journey of a parcel: to the door or to a pickup point, sometimes late or with trouble on the way, and sometimes back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from msgspec import Struct

DELAYED_SHARE = 0.05
#: Share of the parcels to a door that cannot be delivered at first, and why. Nobody takes a refused one later.
PROBLEM_SHARE, PROBLEMS = 0.06, ("recipient_absent", "recipient_absent", "address", "customs", "weather", "refused")
#: Shares of the parcels at a pickup point that are collected on its last days, and never.
LAST_DAYS_SHARE, LEFT_SHARE = 0.15, 0.05
#: Days that a pickup point keeps a parcel.
KEPT_DAYS = 7
#: Share of the delivered parcels that the customer sends back.
RETURNED_SHARE = 0.04


class Stop(Struct, frozen=True):
    """A status of a parcel, since `at` (UTC), with further fields of its record."""

    status: str
    at: datetime
    fields: dict[str, Any] = {}


def journey(
    order: dict[str, Any],
    shipped_at: datetime,
    promised_at: datetime,
    later: Callable[[datetime, float], datetime],
    rng: random.Random,
) -> Iterator[Stop]:
    """Yield what happens to a parcel after it was created.

    Args:
        order: the record of its order, with a receipt.
        shipped_at: when it leaves, UTC.
        promised_at: the begin of the delivery window, UTC.
        later: returns the time a number of days after a time.
        rng: decides.
    """
    yield Stop("shipped", shipped_at)
    arrives_at = promised_at
    if rng.random() < DELAYED_SHARE:
        yield Stop("delayed", later(shipped_at, 0.8))
        arrives_at = later(promised_at, rng.uniform(0.5, 2.0))
    if order["pickup_point"] is not None:
        yield from _to_pickup_point(order["pickup_point"], arrives_at, later, rng)
    else:
        yield from _to_door(arrives_at, later, rng)


def _to_door(arrives_at: datetime, later: Callable[[datetime, float], datetime], rng: random.Random) -> Iterator[Stop]:
    if rng.random() < PROBLEM_SHARE:
        reason = rng.choice(PROBLEMS)
        yield Stop("exception", later(arrives_at, 0.2), {"exception_reason": reason})
        if reason == "refused":
            yield Stop("returned_to_sender", later(arrives_at, rng.uniform(2.0, 4.0)))
            return
        arrives_at = later(arrives_at, rng.uniform(1.0, 2.0))
    yield Stop("out_for_delivery", arrives_at)
    delivered_at = later(arrives_at, rng.uniform(0.05, 0.3))
    yield Stop("delivered", delivered_at)
    if rng.random() < RETURNED_SHARE:
        yield Stop("returned", later(delivered_at, rng.uniform(3.0, 8.0)))


def _to_pickup_point(
    point: dict[str, Any], arrives_at: datetime, later: Callable[[datetime, float], datetime], rng: random.Random
) -> Iterator[Stop]:
    address = point["address"]
    place = {
        "name": point["name"],
        **{name: address[name] for name in ("line1", "postal_code", "city", "country")},
        "opening_hours": point["opening_hours"],
        "code": f"{rng.randrange(10**4):04d}",
        "last_day": _last_day(arrives_at).isoformat(),
    }
    yield Stop("ready_for_pickup", arrives_at, {"pickup": place})
    chance = rng.random()
    if chance < LEFT_SHARE:
        yield Stop("returned_to_sender", later(arrives_at, KEPT_DAYS + 1.0))
        return
    is_late = chance < LEFT_SHARE + LAST_DAYS_SHARE
    collected_at = later(arrives_at, rng.uniform(5.6, 6.8) if is_late else rng.uniform(0.2, 3.0))
    yield Stop("delivered", collected_at)
    if rng.random() < RETURNED_SHARE:
        yield Stop("returned", later(collected_at, rng.uniform(3.0, 8.0)))


def _last_day(arrives_at: datetime) -> date:
    """Return the last day to collect a parcel. It is a day of the calendar, also where a day takes a second."""
    return arrives_at.date() + timedelta(days=KEPT_DAYS)
