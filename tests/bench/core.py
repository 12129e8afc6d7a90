"""Job `core`: the rules alone, without Kafka. What one event costs a customer of 50 orders with 30 live flows, and with 300 more that it cannot
start; and how many events a second `takk simulate` plays, on one core."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from streams.core.engine import advance
from streams.core.model.customer import Customer
from streams.core.model.effects import ScheduleTimer, SendMail
from streams.core.model.events import Event, MailClicked, MailReported, OrderPlaced
from streams.core.model.ruleset import Ruleset
from streams.definitions.loader import load_ruleset
from streams.settings import load_settings
from streams.tools.local.shop.shop import Shop
from streams.tools.simulation.history import History
from streams.tools.simulation.outcome import simulate
from streams.tools.simulation.simulator import Simulator, timer_fired
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from tests.bench.context import Context, Result, median
from tests.harness.driver import START
from tests.harness.events import order, shipment
from tests.harness.flow_texts import flow_text, ruleset_of

ORDERS = 50
#: What a shop of 30 flows starts them by.
STARTED = {
    "order.placed": 4, "order.refunded": 2, "shipment.shipped": 2, "shipment.out_for_delivery": 1, "shipment.delivered": 5, "shipment.delayed": 1,
    "mail.clicked": 2, "mail.opened": 1, "survey.answered": 3, "product.viewed": 4, "product.added_to_cart": 2, "profile.completed": 2,
    "customer.birthday": 1,
}  # fmt: skip
#: What none of the events below starts.
OTHERS = ("product.viewed", "order.refunded", "survey.answered", "shipment.returned")
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
    """The rows of the table."""
    rows = []
    for name, others in (("advance", 0), ("advance-300-more", 300)):
        context.log(f"core: {name}")
        runs = [spent(ruleset(others)) for _ in range(context.runs)]
        figures = {f"us_{kind}": median([one[kind] * 1e6 for one in runs]) for kind in KINDS}
        whole = [1 / (sum(one.values()) / len(one)) for one in runs]
        rows.append(Result(f"core-{name}", "takk", round(median(whole)), "", ROUNDS, runs=whole, figures=figures))
    context.log("core: simulate")
    world_of_shop, facts = load_ruleset(load_settings().templates_dir), history()
    outcomes = [simulate(world_of_shop, facts, 30) for _ in range(context.runs)]
    rates = [one.events / one.seconds for one in outcomes]
    figures = {"mails": float(outcomes[0].mails), "customers": float(outcomes[0].customers)}
    rows.append(
        Result("core-simulate", "takk", round(median(rates)), "", outcomes[0].events, runs=rates, figures=figures)
    )
    return rows


def ruleset(others: int) -> Ruleset:
    """30 live flows, and `others` more."""
    starts = [*Counter(STARTED).elements(), *(OTHERS[number % len(OTHERS)] for number in range(others))]
    texts = [
        flow_text(f"trigger: {{on: {on}}}\n{STEPS}", name=f"flow-{number}", purpose="service")
        for number, on in enumerate(starts)
    ]
    assert len(texts) == 30 + others
    return ruleset_of(*texts)


def spent(flows: Ruleset) -> dict[str, float]:
    """Seconds of `advance` for an event of each kind, of a customer who has bought `ORDERS` times: the mean of `ROUNDS`."""
    state, now = bought(flows), START + timedelta(weeks=ORDERS)
    seconds = dict.fromkeys(KINDS, 0.0)
    for number in range(ROUNDS):
        told = f"x{number}"
        after, effects, seconds["order"] = _timed(
            flows, state, OrderPlaced(order(told, now), now), now, seconds["order"]
        )
        later = now + timedelta(days=1)
        after, more, seconds["parcel"] = _timed(
            flows, after, shipment(told, "delivered", later), later, seconds["parcel"]
        )
        timer = next(one for one in [*effects, *more] if isinstance(one, ScheduleTimer))
        after, sent, seconds["timer"] = _timed(
            flows, after, timer_fired(timer, timer.due_at), timer.due_at, seconds["timer"]
        )
        mail = next(one for one in sent if isinstance(one, SendMail))
        at = timer.due_at
        report = MailReported(customer_id="c1", send_id=mail.send_id, outcome="sent", occurred_at=at)
        after, _, seconds["report"] = _timed(flows, after, report, at, seconds["report"])
        click = MailClicked(customer_id="c1", send_id=mail.send_id, link="l", agent="human", occurred_at=at)
        _, _, seconds["click"] = _timed(flows, after, click, at, seconds["click"])
    return {kind: whole / ROUNDS for kind, whole in seconds.items()}


def _timed(flows: Ruleset, state: Customer, event: Event, now: datetime, before: float) -> tuple[Customer, list, float]:  # type: ignore[type-arg]
    started = time.perf_counter()
    after, effects = advance(flows, state, event, now)
    return after, effects, before + time.perf_counter() - started


def bought(flows: Ruleset) -> Customer:
    """The customer after the orders, one a week, their parcels and their mails."""
    run = Simulator(flows, START)
    for number in range(ORDERS):
        run.handle(OrderPlaced(order(f"o{number}", run.now), run.now), shipment(f"o{number}", "delivered", run.now))
        run.advance(timedelta(weeks=1))
    return run.customers["c1"]


def history() -> History:
    """What the simulated shop tells in `HISTORY_DAYS`, some 150,000 facts."""
    codec = open_codec()
    decoder, found = Decoder(codec), History([])
    for fact in Shop(11, 0.01, 86_400.0).facts(datetime(2026, 3, 2, tzinfo=UTC), HISTORY_DAYS * 86_400.0):
        raw = codec.encode(topics.SCHEMA_OF[fact.topic], fact.record)
        event = decoder.event(fact.topic, fact.key, raw, int(fact.at.timestamp() * 1000))
        found.events.append((event.occurred_at, event))
    found.events.sort(key=lambda fact: fact[0])
    return found
