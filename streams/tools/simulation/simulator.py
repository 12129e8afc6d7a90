"""The rules on a virtual clock, with a timer queue and a mailer that never fails: a year of a shop in the time that deciding takes."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from streams.core.engine import advance
from streams.core.model.customer import Customer, new_customer
from streams.core.model.effects import ClaimCode, Effect, ScheduleTimer, SendMail, WithdrawClaim
from streams.core.model.events import Event, MailReported, TimerFired
from streams.core.model.ruleset import Ruleset
from streams.core.offers.catalogue import Catalogue
from streams.core.offers.code_pool_records import Claim, Code, PoolMessage, Withdrawal
from streams.core.offers.code_pools import CodePools, InMemoryTable
from streams.tools.simulation.recommendations import SimulatedRecommendations, suppressed_send


class Simulator:
    """Feeds events to the core and fires the timers that come due.

    Args:
        world: the flows and the shop's rules.
        start: what the clock shows at first, UTC.
        is_reporting: each mail is reported as sent at once.
        on_effect: hears of each effect, with the clock.
        has_codes: pools are never empty: each claim gets a code that is made up; otherwise they hold what `stock` put there.
        catalogue: what the shop sells. Mails that recommend are written from it and from what sold so far, as the mailer would, or not sent
            (then `on_effect` hears that decision in the place of the mail). None: nobody knows, and they count as sent.
    """

    def __init__(
        self,
        ruleset: Ruleset,
        start: datetime,
        *,
        is_reporting: bool = True,
        on_effect: Callable[[Effect, datetime], None] = lambda effect, now: None,
        has_codes: bool = False,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.ruleset = ruleset
        self.now = start
        self.is_reporting = is_reporting
        self.on_effect = on_effect
        self.has_codes = has_codes
        self.recommendations = SimulatedRecommendations(catalogue) if catalogue is not None else None
        self.customers: dict[str, Customer] = {}
        #: Events that were decided: what was fed, timers that fired, and mails that were reported.
        self.decided = 0
        self._queue: list[tuple[datetime, str, ScheduleTimer]] = []
        self._timers: set[str] = set()
        #: What lies in the pools.
        self.pools = InMemoryTable()

    def handle(self, *events: Event) -> None:
        """The events happen (or become known) now, one after the other."""
        for event in events:
            self.decided += 1
            customer_id = event.customer_id
            state = self.customers.get(customer_id) or new_customer(customer_id)
            self.customers[customer_id], effects = advance(self.ruleset, state, event, self.now)
            recommendations = self.recommendations
            if recommendations is not None and self.is_reporting:
                effects = recommendations.apply(effects, self.now)
            for effect in effects:
                self.on_effect(effect, self.now)
            for effect in effects:
                if isinstance(effect, ScheduleTimer):
                    self._schedule(effect)
                elif isinstance(effect, ClaimCode):
                    made_up = [Code(effect.pool, effect.reward_id)] if self.has_codes else []
                    self._hand_out(*made_up, claim_of(effect))
                elif isinstance(effect, WithdrawClaim):
                    self._hand_out(Withdrawal(effect.pool, effect.reward_id, effect.give_up_at))
                elif isinstance(effect, SendMail) and self.is_reporting:
                    self.handle(
                        MailReported(
                            customer_id=customer_id, send_id=effect.send_id, outcome="sent", occurred_at=self.now
                        )
                    )
                elif recommendations is not None and (send_id := suppressed_send(effect)) is not None:
                    self.handle(
                        MailReported(
                            customer_id=customer_id, send_id=send_id, outcome="suppressed", occurred_at=self.now
                        )
                    )

    def stock(self, *codes: Code) -> None:
        """Codes come into their pools now; who waits for one gets it at once."""
        self._hand_out(*codes)

    def _hand_out(self, *told: PoolMessage) -> None:
        pools = CodePools(self.pools, self.now)
        for one in told:
            pools.apply(one)
        self.handle(*pools.grants)

    def _schedule(self, timer: ScheduleTimer) -> None:
        if timer.timer_id not in self._timers:
            self._timers.add(timer.timer_id)
            heapq.heappush(self._queue, (timer.due_at, timer.timer_id, timer))

    def advance(self, length: timedelta) -> None:
        """Move the clock, firing every timer at its moment."""
        self.advance_to(self.now + length)

    def advance_to(self, moment: datetime) -> None:
        """Move the clock to `moment` (UTC), firing every timer on the way; one that lies behind changes nothing."""
        queue = self._queue
        while queue and queue[0][0] <= moment:
            due_at, _, timer = heapq.heappop(queue)
            self.now = max(self.now, due_at)
            self.handle(timer_fired(timer, self.now))
        self.now = max(self.now, moment)


def claim_of(effect: ClaimCode) -> Claim:
    """The claim as it comes to its pool."""
    return Claim(**{name: getattr(effect, name) for name in Claim.__struct_fields__})


def timer_fired(timer: ScheduleTimer, now: datetime) -> TimerFired:
    """The timer as it comes back from the scheduler."""
    return TimerFired(
        customer_id=timer.customer_id,
        timer_id=timer.timer_id,
        instance_id=timer.instance_id,
        flow=timer.flow,
        step=timer.step,
        due_at=timer.due_at,
        occurred_at=now,
    )
