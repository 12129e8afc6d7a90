"""The core on a virtual clock, with a timer queue and a mailer that never fails.

Time is skipped from one timer to the next, so simulating a year takes only as long as its decisions.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from streams.core.engine import advance
from streams.core.handlers.merges import received
from streams.core.model.customer import Customer, new_customer
from streams.core.model.effects import (
    CancelTimers,
    ClaimCode,
    Effect,
    ForgetCustomer,
    ForwardEvent,
    HandOver,
    NoteInterest,
    ReleaseAlias,
    ScheduleTimer,
    SendMail,
    WithdrawClaim,
)
from streams.core.model.events import Event, MailReported, TimerFired
from streams.core.model.person_events import CustomerErased
from streams.core.offers.catalogue import Catalogue
from streams.core.offers.code_pool_records import Claim, Code, PoolMessage, Withdrawal
from streams.core.offers.code_pools import CodePools, InMemoryTable
from streams.core.offers.product_changes import ProductVersion
from streams.core.rules.ruleset import Ruleset
from streams.core.triggers.walk_plans import WalkPlan, walk_plans
from streams.tools.simulation.addresses import SimulatedAddresses
from streams.tools.simulation.products import SimulatedProducts
from streams.tools.simulation.recommendations import SimulatedRecommendations
from streams.tools.simulation.suppressions import suppressed_send


class Simulator:
    """Applies events to the core, and fires the timers that are due.

    Args:
        ruleset: the flows and the shop's rules.
        start: the first time of the clock, UTC.
        is_reporting: whether each email is reported as sent immediately.
        on_effect: called with each effect and the time of the clock.
        has_codes: whether code pools are never empty: each claim gets an invented code. Otherwise they contain the codes of `stock`.
        catalogue: the products of the shop. Products to recommend are selected from it and from the sales so far, as the mailer
            does. If there are too few, `on_effect` receives that decision instead of the email. None: such emails count as sent.
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
        #: The addresses of all customers; None without `Ruleset.address_key`.
        self.addresses = SimulatedAddresses(ruleset) if ruleset.address_key else None
        self.customers: dict[str, Customer] = {}
        #: Number of handled events: those passed to `handle`, fired timers and reports of emails.
        self.decided = 0
        self._queue: list[tuple[datetime, str, ScheduleTimer]] = []
        #: The id of each timer so far, fired or not -> its customer.
        self._timers: dict[str, str] = {}
        #: The walks over the customers that have not begun, the next one last.
        self._plans = sorted(walk_plans(ruleset), key=lambda plan: (plan.starts_at, plan.name), reverse=True)
        #: The content of the code pools.
        self.pools = InMemoryTable()
        #: The index of the products that customers wish for or bought.
        self.products = SimulatedProducts(ruleset.catalogue_changes)

    def handle(self, *events: Event) -> None:
        """Handle events that occur, or become known, now; one after the other."""
        for event in events:
            self.decided += 1
            customer_id = event.customer_id
            state = self.customers.get(customer_id) or new_customer(customer_id)
            self.customers[customer_id], effects = advance(self.ruleset, state, event, self.now)
            recommendations = self.recommendations
            if recommendations is not None and self.is_reporting:
                effects = recommendations.apply(effects, self.now)
            if self.addresses is not None and self.is_reporting:
                effects = self.addresses.apply(effects, self.now)
            for effect in effects:
                self.on_effect(effect, self.now)
            for effect in effects:
                if isinstance(effect, ScheduleTimer):
                    self._schedule(effect)
                elif isinstance(effect, CancelTimers):
                    self._cancel(customer_id)
                elif isinstance(effect, ClaimCode):
                    invented = [Code(effect.pool, effect.reward_id)] if self.has_codes else []
                    self._apply_to_pools(*invented, claim_of(effect))
                elif isinstance(effect, WithdrawClaim):
                    self._apply_to_pools(Withdrawal(effect.pool, effect.reward_id, effect.give_up_at))
                elif isinstance(effect, (HandOver, ForwardEvent, ReleaseAlias)):
                    self.handle(received(effect, event))
                elif isinstance(effect, NoteInterest):
                    self.handle(*self.products.note(effect, self.now))
                elif isinstance(effect, ForgetCustomer):
                    self.handle(CustomerErased(customer_id=effect.forgotten_id, occurred_at=self.now))
                elif isinstance(effect, SendMail) and self.is_reporting:
                    self.handle(
                        MailReported(
                            customer_id=customer_id, send_id=effect.send_id, outcome="sent", occurred_at=self.now
                        )
                    )
                elif (send_id := suppressed_send(effect)) is not None:
                    self.handle(
                        MailReported(
                            customer_id=customer_id, send_id=send_id, outcome="suppressed", occurred_at=self.now
                        )
                    )

    def stock(self, *codes: Code) -> None:
        """Add codes to their pools. Waiting claims get theirs at once."""
        self._apply_to_pools(*codes)

    def change_product(self, *versions: ProductVersion) -> None:
        """Let the catalogue have new versions of products. The customers whom their changes concern hear of it at once."""
        for version in versions:
            self.handle(*self.products.compare(version, self.now))

    def _apply_to_pools(self, *messages: PoolMessage) -> None:
        pools = CodePools(self.pools, self.now)
        for message in messages:
            pools.apply(message)
        self.handle(*pools.grants)

    def _schedule(self, timer: ScheduleTimer) -> None:
        if timer.timer_id not in self._timers:
            self._timers[timer.timer_id] = timer.customer_id
            heapq.heappush(self._queue, (timer.due_at, timer.timer_id, timer))

    def _walk(self, plan: WalkPlan) -> None:
        """Hand each customer to a flow, as a walk over the partitions does. It takes no time."""
        self.now = max(self.now, plan.starts_at)
        if self.now >= plan.ends_at:
            return
        for _, state in sorted(self.customers.items()):
            for effect in plan.effects(self.ruleset, state, self.now):
                self.on_effect(effect, self.now)
                if isinstance(effect, NoteInterest):
                    self.handle(*self.products.note(effect, self.now))
                else:
                    self._schedule(effect)

    def _cancel(self, customer_id: str) -> None:
        self._timers = {name: owner for name, owner in self._timers.items() if owner != customer_id}
        self._queue[:] = [entry for entry in self._queue if entry[2].customer_id != customer_id]
        heapq.heapify(self._queue)

    def advance(self, length: timedelta) -> None:
        """Move the clock by `length`, and fire each timer at its due time."""
        self.advance_to(self.now + length)

    def advance_to(self, time: datetime) -> None:
        """Move the clock to `time` (UTC), and fire each timer at its due time. A time in the past changes nothing."""
        queue, plans = self._queue, self._plans
        while True:
            next_at = queue[0][0] if queue and queue[0][0] <= time else None
            if plans and plans[-1].starts_at <= (next_at or time):
                self._walk(plans.pop())
                continue
            if next_at is None:
                break
            due_at, _, timer = heapq.heappop(queue)
            self.now = max(self.now, due_at)
            self.handle(timer_fired(timer, self.now))
        self.now = max(self.now, time)


def claim_of(effect: ClaimCode) -> Claim:
    """Return the claim that the pool receives for an effect."""
    return Claim(**{name: getattr(effect, name) for name in Claim.__struct_fields__})


def timer_fired(timer: ScheduleTimer, now: datetime) -> TimerFired:
    """Return the event of a timer that fires at `now`."""
    return TimerFired(
        customer_id=timer.customer_id,
        timer_id=timer.timer_id,
        instance_id=timer.instance_id,
        flow=timer.flow,
        step=timer.step,
        due_at=timer.due_at,
        occurred_at=now,
    )
