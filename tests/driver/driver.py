"""The rules with a timer queue and a mailer that never fails, on a clock that is moved by hand: weeks in milliseconds."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta

from streams.core.customer import Customer, new_customer
from streams.core.effects import Attribute, Effect, LogDecision, ScheduleStep, SendMail
from streams.core.engine import advance
from streams.core.events import Event, MailReported, StepDue, customer_of
from streams.core.world import World

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday


class Driver:
    """Feeds events to the core and fires the timers that come due. `is_reporting`: each mail is reported as sent at once."""

    def __init__(self, world: World, start: datetime = START, *, is_reporting: bool = True) -> None:
        self.world = world
        self.now = start
        self.is_reporting = is_reporting
        self.customers: dict[str, Customer] = {}
        self.effects: list[Effect] = []
        self._queue: list[tuple[datetime, str, ScheduleStep]] = []
        self._timers: set[str] = set()

    def feed(self, *events: Event) -> None:
        """The events happen (or become known) now, one after the other."""
        for event in events:
            customer_id = customer_of(event)
            state = self.customers.get(customer_id) or new_customer(customer_id)
            self.customers[customer_id], effects = advance(self.world, state, event, self.now)
            self.effects.extend(effects)
            for effect in effects:
                if isinstance(effect, ScheduleStep) and effect.timer_id not in self._timers:
                    self._timers.add(effect.timer_id)
                    heapq.heappush(self._queue, (effect.due_at, effect.timer_id, effect))
                elif isinstance(effect, SendMail) and self.is_reporting:
                    self.feed(
                        MailReported(
                            customer_id=customer_id, send_id=effect.send_id, outcome="sent", occurred_at=self.now
                        )
                    )

    def pass_time(self, length: timedelta) -> None:
        """Move the clock, firing every timer at its moment."""
        end = self.now + length
        while self._queue and self._queue[0][0] <= end:
            due_at, _, timer = heapq.heappop(self._queue)
            self.now = max(self.now, due_at)
            self.feed(step_due(timer, self.now))
        self.now = end

    def mails(self, customer_id: str | None = None) -> list[SendMail]:
        """The mails ordered so far."""
        return [one for one in self.effects if isinstance(one, SendMail) and customer_id in (None, one.customer_id)]

    def messages(self, customer_id: str | None = None) -> list[str]:
        """The messages ordered so far, by name."""
        return [mail.message for mail in self.mails(customer_id)]

    def decisions(self) -> list[tuple[str, str, str]]:
        """Flow, outcome and rule of each decision so far."""
        return [(one.flow, one.outcome, one.rule) for one in self.effects if isinstance(one, LogDecision)]

    def attributions(self) -> list[Attribute]:
        """What neighbours were told so far."""
        return [one for one in self.effects if isinstance(one, Attribute)]


def step_due(timer: ScheduleStep, now: datetime) -> StepDue:
    """The timer as it comes back from the scheduler."""
    return StepDue(
        customer_id=timer.customer_id,
        timer_id=timer.timer_id,
        instance_id=timer.instance_id,
        flow=timer.flow,
        step=timer.step,
        due_at=timer.due_at,
        occurred_at=now,
    )
