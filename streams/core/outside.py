"""What other systems do with the customer: mails that count, and series that flows keep clear of."""

from __future__ import annotations

from streams.core.customer import Pressure
from streams.core.events import ContactPressed
from streams.core.turn import Turn


def take_pressure(turn: Turn, event: ContactPressed) -> None:
    """Remember a mail that another system sent, or until when a series of its runs; of a series the newest news counts.

    What is remembered is bounded (`Limits.pressure`): the oldest goes first.
    """
    at = event.occurred_at
    if event.kind == "sent":
        fresh = Pressure(event.source, at, event.purpose)
        if fresh in turn.pressure:
            return
        others = turn.pressure
    else:
        ends_at = event.until if event.kind == "running" else at
        fresh = Pressure(event.source, at, "", ends_at)
        known = next((one for one in turn.pressure if one.is_series and one.source == event.source), None)
        # Of two of the same moment the one that ends later: then the order of arrival does not count.
        if known is not None and (at, fresh.ends()) <= (known.at, known.ends()):
            return
        others = tuple([one for one in turn.pressure if one is not known])
    turn.pressure = tuple(sorted([*others, fresh], key=_by_time))[-turn.world.limits.pressure :]
    turn.changed = True


def _by_time(pressure: Pressure) -> tuple[object, ...]:
    return pressure.at, pressure.source, pressure.purpose
