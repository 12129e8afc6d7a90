"""Job `core`: the rules alone, without Kafka, on one CPU core.

Measures the time of one event for a customer with 50 orders and 30 live flows, the same with 300 more flows that it cannot start, and the
same with customer pages, and the events per second of `takk simulate`.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from streams.core.engine import advance
from streams.core.model.customer import Customer
from streams.core.model.effects import Effect, ScheduleTimer, SendMail
from streams.core.model.events import Event, MailClicked, MailReported, OrderPlaced
from streams.core.rules.ruleset import Ruleset
from streams.definitions.loader import load_ruleset
from streams.tools.local.shop.shop import Shop
from streams.tools.simulation.history import History
from streams.tools.simulation.outcome import simulate
from streams.tools.simulation.simulator import Simulator, timer_fired
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from tests.bench.context import Context, Result, bench_templates, median
from tests.harness.driver import START
from tests.harness.events import order, shipment
from tests.harness.flow_texts import flow_text, ruleset_of

ORDERS = 50
#: How many of the 30 flows each trigger starts.
TRIGGERS = {
    "order.placed": 4, "order.refunded": 2, "shipment.shipped": 2, "shipment.out_for_delivery": 1, "shipment.delivered": 5, "shipment.delayed": 1,
    "mail.clicked": 2, "mail.opened": 1, "survey.answered": 3, "product.viewed": 4, "product.added_to_cart": 2, "profile.completed": 2,
    "customer.birthday": 1,
}  # fmt: skip
#: Triggers of the additional flows, which no event of the measurement starts.
OTHER_TRIGGERS = ("product.viewed", "order.refunded", "survey.answered", "shipment.returned")
STEPS = """steps:
  - wait: {days: 2, at: "10:00", not_on: [sat, sun]}
  - split:
      - when: customer.orders > 1 and customer.spend > 100
        steps: [{send: {message: a, priority: 60, expires: 5d}}]
      - otherwise: [{send: {message: b, expires: 5d}}]
"""
KINDS = ("order", "parcel", "timer", "report", "click")
HISTORY_DAYS = 30
ROUNDS = 200


def run(context: Context) -> list[Result]:
    """Measure events with 30 flows, then with 300 more, then with the customer's page, then `takk simulate`."""
    rows = []
    for name, others, shows_pages in (
        ("advance", 0, False),
        ("advance-300-more", 300, False),
        ("advance-pages", 0, True),
    ):
        context.log(f"core: {name}")
        runs = [seconds_per_event(ruleset(others, shows_pages)) for _ in range(context.runs)]
        figures = {f"us_{kind}": median([seconds[kind] * 1e6 for seconds in runs]) for kind in KINDS}
        rates = [len(seconds) / sum(seconds.values()) for seconds in runs]
        rows.append(Result(f"core-{name}", "takk", round(median(rates)), "", ROUNDS, runs=rates, figures=figures))
    context.log("core: simulate")
    shop_ruleset, events = load_ruleset(bench_templates()), history()
    outcomes = [simulate(shop_ruleset, events, 30) for _ in range(context.runs)]
    rates = [outcome.events / outcome.seconds for outcome in outcomes]
    figures = {"emails": float(outcomes[0].mails), "customers": float(outcomes[0].customers)}
    rows.append(
        Result("core-simulate", "takk", round(median(rates)), "", outcomes[0].events, runs=rates, figures=figures)
    )
    return rows


def ruleset(others: int, shows_pages: bool = False) -> Ruleset:
    """Return 30 live flows, and `others` more; `shows_pages`: customer pages are kept up to date."""
    triggers = [
        *Counter(TRIGGERS).elements(),
        *(OTHER_TRIGGERS[number % len(OTHER_TRIGGERS)] for number in range(others)),
    ]
    texts = [
        flow_text(f"trigger: {{on: {trigger}}}\n{STEPS}", name=f"flow-{number}", purpose="service")
        for number, trigger in enumerate(triggers)
    ]
    assert len(texts) == 30 + others
    return ruleset_of(*texts, shows_pages=shows_pages)


class Stopwatch:
    """Times `advance`: `seconds` are summed up by kind of event."""

    def __init__(self, flows: Ruleset) -> None:
        self._flows = flows
        self.seconds = dict.fromkeys(KINDS, 0.0)

    def advance(self, kind: str, state: Customer, event: Event, now: datetime) -> tuple[Customer, list[Effect]]:
        """Handle one event."""
        started = time.perf_counter()
        after, effects = advance(self._flows, state, event, now)
        self.seconds[kind] += time.perf_counter() - started
        return after, effects


def seconds_per_event(flows: Ruleset) -> dict[str, float]:
    """Return the mean seconds of `advance` by kind of event, over `ROUNDS` orders of a customer with `ORDERS` earlier orders."""
    state, ordered_at = customer_with_orders(flows), START + timedelta(weeks=ORDERS)
    delivered_at = ordered_at + timedelta(days=1)
    stopwatch = Stopwatch(flows)
    for number in range(ROUNDS):
        order_id = f"x{number}"
        after, effects = stopwatch.advance(
            "order", state, OrderPlaced(order(order_id, ordered_at), ordered_at), ordered_at
        )
        delivery = shipment(order_id, "delivered", delivered_at)
        after, more_effects = stopwatch.advance("parcel", after, delivery, delivered_at)
        timer = next(effect for effect in [*effects, *more_effects] if isinstance(effect, ScheduleTimer))
        due_at = timer.due_at
        after, effects = stopwatch.advance("timer", after, timer_fired(timer, due_at), due_at)
        send_id = next(effect for effect in effects if isinstance(effect, SendMail)).send_id
        report = MailReported(customer_id="c1", send_id=send_id, outcome="sent", occurred_at=due_at)
        after, _ = stopwatch.advance("report", after, report, due_at)
        clicked_at = due_at + timedelta(minutes=1)
        click = MailClicked(customer_id="c1", send_id=send_id, link="l", agent="human", occurred_at=clicked_at)
        after, effects = stopwatch.advance("click", after, click, clicked_at)
        # The flows start when the hold of the click ends.
        (hold,) = [effect for effect in effects if isinstance(effect, ScheduleTimer)]
        stopwatch.advance("click", after, timer_fired(hold, hold.due_at), hold.due_at)
    return {kind: seconds / ROUNDS for kind, seconds in stopwatch.seconds.items()}


def customer_with_orders(flows: Ruleset) -> Customer:
    """Return a customer after `ORDERS` orders, one per week, with their parcels and emails."""
    simulator = Simulator(flows, START)
    for number in range(ORDERS):
        now = simulator.now
        simulator.handle(OrderPlaced(order(f"o{number}", now), now), shipment(f"o{number}", "delivered", now))
        simulator.advance(timedelta(weeks=1))
    return simulator.customers["c1"]


def history() -> History:
    """Return the events of the simulated shop in `HISTORY_DAYS` days, about 150,000."""
    codec = open_codec()
    decoder, recorded = Decoder(codec), History([])
    for shop_record in Shop(11, 0.01, 86_400.0).records(datetime(2026, 3, 2, tzinfo=UTC), HISTORY_DAYS * 86_400.0):
        raw = codec.encode(topics.SCHEMA_OF[shop_record.topic], shop_record.record)
        event = decoder.event(shop_record.topic, shop_record.key, raw, int(shop_record.at.timestamp() * 1000))
        recorded.events.append((event.occurred_at, event))
    recorded.events.sort(key=lambda event: event[0])
    return recorded
