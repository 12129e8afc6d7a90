"""Every kind of id and fingerprint, as released versions computed it.

Ids are on topics and in the state of customers. A worker of the next version must compute the same ids from the same data, or a rolling
upgrade causes duplicates. `TAKK_GOLDEN=write make test ARGS=tests/golden` adds new cases to `ids.json` and never changes one.
If an intended change of behaviour gives other records in `run`, delete that case from the file and write it again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from streams.core.engine import advance
from streams.core.model.customer import Customer, new_customer
from streams.core.model.effects import Effect, ResendMail
from streams.core.model.events import (
    ContactPressed,
    Event,
    MailBounced,
    MailClicked,
    MailComplained,
    MailDelivered,
    MailOpened,
    OrderCancelled,
    OrderChanged,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ProductBrowsed,
    RetryDue,
    SurveyAnswered,
    Unsubscribed,
)
from streams.core.model.person_events import ProfileUpdated
from streams.core.offers.code_pool_records import Code, Withdrawal
from streams.core.offers.code_pools import CodePools, InMemoryTable
from streams.core.offers.popularity import Counts
from streams.core.offers.recommendations import fulfil, request_for
from streams.core.rules.ruleset import Limits
from streams.core.values import ids
from streams.core.values.buckets import bucket
from streams.wire.codec import open_codec
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.journal import Slice
from tests.harness import products
from tests.harness.commands import command
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import DAY, HOUR, flow_text, ruleset_of
from tests.harness.tokens import unkeyed_token

FIXTURE = Path(__file__).parent / "ids.json"
LATER = START + HOUR
ORDER_EVENTS: dict[str, Callable[..., Event]] = {
    "placed": OrderPlaced,
    "paid": OrderPaid,
    "changed": OrderChanged,
    "cancelled": OrderCancelled,
    "refunded": OrderRefunded,
}
#: Changes to an order. They include the values whose text is the hardest to reproduce.
DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "empty texts": {"email": "", "name": "", "locale": "", "country": "", "ship_country": "", "currency": ""},
    "one quote": {"name": "Anna O'Hara"},
    "two kinds of quotes": {"name": 'Anna "O\'Hara"'},
    "double quotes": {"name": 'Anna "Ann" Holm'},
    "backslash and line ends": {"name": "a\\b\r\n\tc\x00\x7f"},
    "letters and signs": {"name": "Åsa Ørn 王小明 🎁 \u200d\u2028\xa0\xad\ue000\U000e0001"},
    "half of a pair": {"name": "\ud83d"},
    "commas and brackets": {"name": "x', name='y', lines=(Line(sku='s1'),)"},
    "time zone": {"time_zone": "Europe/Oslo"},
    "discount": {"discount_minor": 1_500},
    "no amount": {"total_minor": 0},
    "large amount": {"total_minor": 2**62},
    "negative amount": {"total_minor": -1},
    "milliseconds": {"placed_at": datetime(2026, 3, 1, 8, 5, 7, 123_000, tzinfo=UTC)},
    "microseconds": {"placed_at": datetime(2026, 3, 1, 8, 5, 7, 7, tzinfo=UTC)},
    "seconds": {"placed_at": datetime(2026, 3, 1, 8, 5, 7, tzinfo=UTC)},
    "midnight": {"placed_at": datetime(2026, 3, 1, tzinfo=UTC)},
    "no lines": {"lines": ()},
    "one line": {"lines": (OrderLine("s1", "Tea", "tea", 2, 15_000),)},
    "line that lasts": {"lines": (OrderLine("s1", "Tea", "tea", 2, 15_000, 30),)},
    "line with quotes": {"lines": (OrderLine("s'1", 'The "best" tea', "it's\n", 0, 0, 0),)},
    "three lines": {"lines": tuple([OrderLine(f"s{number}", "", "", 1, number) for number in range(3)])},
}
FLOW = flow_text(
    """trigger: {on: order.placed}
steps:
  - send: {message: a}
  - reward: {name: welcome, expires: 30d}
  - emit: came
  - experiment:
      name: subject
      arms:
        - {name: plain, percent: 50, steps: [{set: {name: arm, value: plain}}]}
        - {name: warm, percent: 50, steps: [{set: {name: arm, value: warm}}]}
  - wait: 2d
  - send: {message: b, products: 2, at_least: 1}
  - wait_for: {event: mail.clicked, up_to: 1d}
  - reward: {name: spring, pool: spring, expires: 30d, within: 2d}
  - send: {message: c}
""",
    name="long",
    purpose="marketing",
)
OTHER_FLOWS = {
    "parcel": ("{on: shipment.delivered, once_per: parcel}", "marketing"),
    "again": ("{on: order.placed, once_per: customer, again_after: 1d}", "marketing"),
    "each": ("{on: order.placed, once_per: product}", "marketing"),
    "seen": ("{on: product.viewed, once_per: product}", "marketing"),
    "launch": ("{on: product.launch, once_per: product, before: 1d}", "marketing"),
    "birthday": ("{on: customer.birthday}", "marketing"),
    "opened": ("{on: mail.opened, once_per: customer}", "marketing"),
    "survey": ("{on: survey.answered, once_per: customer}", "marketing"),
    "buyers": ("{on: segment.entered, segment: buyers}", "marketing"),
    "lapsed": ("{on: segment.entered, segment: lapsed}", "marketing"),
    "refused": ("{on: order.placed, where: order.total > 9000}", "marketing"),
}
SEGMENTS = "buyers: customer.orders > 0\nlapsed: customer.days_since_last_order > 20"


def marks_of(customer: Customer) -> list[str]:
    """Return the fingerprints in the state: of seen events, finished instances, forgotten orders, and last starts."""
    histories = (customer.seen_fingerprints, customer.finished_fingerprints, customer.forgotten_order_fingerprints)
    marks = [history[at : at + 8].hex() for history in histories for at in range(0, len(history), 8)]
    return marks + [start.fingerprint.hex() for start in customer.last_starts]


@cache
def encoder() -> Encoder:
    """Return the current encoder."""
    return Encoder(open_codec())


def record_ids(effects: Sequence[Effect], now: datetime = START) -> list[str]:
    """Return topic, key and id of the record of each effect."""
    return [_record_id(encoder().effects.encode(effect, now)) for effect in effects]


def _record_id(output: Any) -> str:
    topic, key, _, headers = output
    return f"{topic} {key.decode()} {dict(headers)['ce_id'].decode()}"


def order_event(kind: str, at: datetime, order_id: str = "o1", **changes: Any) -> Event:
    """Return an event of an order that was placed at START."""
    return ORDER_EVENTS[kind](order(order_id, **{"placed_at": START, **changes}), at)


def _functions() -> list[str]:
    """Return the id that each function computes for arguments that are easily confused."""
    computed = {
        "digest": ids.digest("a", "b\x1fc", "Ø\ud83d"),
        "mark": ids.fingerprint("a", "b\x1fc", "Ø\ud83d").hex(),
        "instance": ids.instance_id("c1", "flow", "o1/p1"),
        "migrated": ids.migrated_id("run", 7),
        "send": ids.send_id("run", "1.0.2"),
        "reward": ids.reward_code(b"key", "run", "1.0.2"),
        "timer": ids.timer_id("run", "1.0.2", START + timedelta(milliseconds=5)),
        "decision": ids.decision_id("run", "1.0.2", "no_consent", "moment"),
        "lot": str(bucket("experiment", "subject", "c1")),
        "token": unkeyed_token(b"secret", "unsubscribe", "c1", "send", "Ø"),
    }
    return [f"{name} {value}" for name, value in computed.items()]


def _sales(kind: str) -> list[str]:
    """Return the ids after a change of the sales; the id of the sales record depends on the kind of event."""
    ruleset = ruleset_of(
        flow_text("trigger: {on: order.changed}\nsteps: [{send: {message: a, products: 2}}]", purpose="marketing")
    )
    run = Driver(ruleset)
    if kind != "placed":
        run.handle(order_event("placed", START))
    run.handle(order_event(kind, LATER, lines=(OrderLine("s9", "Pot", "pots", 1, 50_000),)))
    return record_ids(run.effects) + marks_of(run.customers["c1"])


def _forgotten(kind: str) -> list[str]:
    """Return the ids after events of a forgotten order. Only a cancellation and a refund change its fingerprint."""
    run = Driver(ruleset_of(limits=Limits(orders=1, short_pieces=0)))
    run.handle(order_event("placed", START), order_event("placed", START, "o2"))
    run.handle(order_event(kind, LATER), order_event(kind, LATER), order_event(kind, LATER + DAY))
    return record_ids(run.effects) + marks_of(run.customers["c1"])


def _described(changes: dict[str, Any]) -> list[str]:
    """Return the fingerprints of two descriptions of an order with the same time."""
    state, ruleset = new_customer("c1"), ruleset_of()
    for event in (order_event("placed", START, name="Before"), order_event("changed", START, **changes)):
        state, _ = advance(ruleset, state, event, LATER)
    return marks_of(state)


def _run() -> list[str]:
    """Return all ids and fingerprints of a customer's two months with flows of every trigger and step."""
    body = "trigger: {}\nsteps: [{{wait: 1h}}, {{send: {{message: a}}}}]"
    others = [flow_text(body.format(on), name=name, purpose=purpose) for name, (on, purpose) in OTHER_FLOWS.items()]
    run = Driver(
        ruleset_of(
            FLOW, *others, segments=SEGMENTS, limits=Limits(lines_per_order=3, fingerprints=400), reward_key=b"key"
        )
    )
    profile: dict[str, Any] = {
        "email": "anna@example.com",
        "name": "Anna",
        "country": "DK",
        "birthday": date(1984, 4, 2),
    }
    run.handle(ProfileUpdated(customer_id="c1", marketing_consent=True, occurred_at=START, **profile))
    run.handle(order_event("placed", START, lines=tuple([OrderLine(f"s{n}", "Tea", "tea", 1, 100) for n in range(5)])))
    mail = run.mails()[0].send_id
    run.handle(
        shipment("o1", "shipped", LATER), shipment("o1", "delivered", START + DAY), shipment("o7", "delayed", LATER)
    )
    run.handle(
        ProductBrowsed(customer_id="c1", kind="viewed", sku="s9", occurred_at=LATER, launches_at=START + 9 * DAY)
    )
    of_mail: dict[str, Any] = {"customer_id": "c1", "send_id": mail}
    run.handle(MailDelivered(occurred_at=LATER, **of_mail), MailOpened(agent="human", occurred_at=LATER, **of_mail))
    run.handle(MailClicked(link="https://shop.example/a", agent="scanner", occurred_at=LATER, **of_mail))
    run.handle(SurveyAnswered(question="happy", answer="yes", occurred_at=LATER, **of_mail))
    run.handle(MailBounced(hard=False, reason="4.2.2 full", occurred_at=LATER, **of_mail))
    run.advance(10 * DAY)
    run.handle(
        order_event("placed", run.now, "o2", placed_at=run.now), order_event("paid", run.now, "o2", placed_at=run.now)
    )
    run.handle(
        ContactPressed(
            customer_id="c1", source="crm", kind="sent", purpose="marketing", until=None, occurred_at=run.now
        )
    )
    run.advance(3 * DAY)
    run.stock(Code("spring", "A1", run.now + 90 * DAY))
    run.handle(order_event("refunded", run.now, "o2", placed_at=run.now), order_event("cancelled", run.now))
    for attempt in (2, 3):
        run.handle(
            RetryDue(
                timer_id=f"{mail}.{attempt}", attempt=attempt, purpose="order", not_after=run.now + (attempt * 2 - 5) * HOUR,
                command=b"", due_at=run.now, occurred_at=run.now, **of_mail,
            )
        )  # fmt: skip
    run.advance(30 * DAY)
    run.handle(order_event("placed", run.now, "o3", placed_at=run.now))
    run.handle(Unsubscribed(scope="marketing", occurred_at=run.now, **of_mail))
    run.handle(MailComplained(occurred_at=run.now, **of_mail))
    run.advance(20 * DAY)
    effects = [effect for effect in run.effects if not isinstance(effect, ResendMail)]  # its command is not a real one
    assert len(run.effects) - len(effects) == 1
    assert len(run.customers["c1"].seen_fingerprints) < 8 * 400, "a fingerprint was evicted"
    return record_ids(effects) + marks_of(run.customers["c1"])


def _withdrawn() -> list[str]:
    """Return the ids of the withdrawals of an unreported email, after an unsubscription and after a hard bounce."""
    flow = flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]", purpose="marketing")
    run = Driver(ruleset_of(flow), is_reporting=False)
    run.handle(
        ProfileUpdated(customer_id="c1", marketing_consent=True, occurred_at=START), order_event("placed", START)
    )
    run.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=LATER))
    run.handle(MailBounced(customer_id="c1", send_id="s1", hard=True, reason="5.1.1 unknown", occurred_at=LATER))
    return record_ids(run.effects) + marks_of(run.customers["c1"])


def _click() -> list[str]:
    """Return the ids of the timer that holds a click, of the click, and of the order that it led to."""
    run = Driver(ruleset_of(flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]")))
    run.handle(order_event("placed", START))
    run.advance(HOUR)
    mail = run.mails()[0].send_id
    run.handle(
        MailClicked(
            customer_id="c1",
            send_id=mail,
            link="https://shop.example/a",
            agent="human",
            occurred_at=LATER,
            event_id="e1",
        )
    )
    run.advance(HOUR)
    run.handle(order_event("placed", run.now, "o2", placed_at=run.now))
    customer = run.customers["c1"]
    return record_ids(run.effects) + marks_of(customer) + [click.fingerprint.hex() for click in customer.held_clicks]


def _pools() -> list[str]:
    """Return the id of a grant, and the keys of the pool's entries."""
    table, ruleset = (
        InMemoryTable(),
        ruleset_of(
            flow_text("trigger: {on: order.placed}\nsteps: [{reward: {name: r, pool: p, expires: 9d, within: 2d}}]")
        ),
    )
    run = Driver(ruleset)
    run.pools = table
    run.handle(order_event("placed", START))
    run.stock(Code("p", "Ø-1"), Code("p", "Ø-2"))
    code_pools = CodePools(table, START)
    code_pools.apply(Withdrawal("p", "reward-1", START + DAY))
    return record_ids(run.effects) + [key.decode() for key in table.entries]


def _mailer() -> list[str]:
    """Return the ids of the records of the mailer and of the runtime."""
    mail, out = command(), encoder()
    outputs = [
        out.reports.email_event(mail, "sent", START),
        out.reports.email_event(mail, "deferred", START, retry_at=LATER),
        out.reports.bounce(mail, True, "5.1.1", START),
        out.reports.mail_decision(mail, "skip", "expired", "too late", START),
        out.reports.retry_timer(mail, LATER, START),
        out.journal.dead_letter("orders", 3, 42, b"c1", b"?", "not_avro", "words", START, stage="flows"),
        out.journal.checkpoint("flows", 3, START, [Slice("orders", 1, 42), Slice("shipments", 7, 7)]),
        out.products.counts(Counts("s/1", 3, 2934), START),
    ]
    return [_record_id(output) for output in outputs]


def _wish() -> list[str]:
    """Return the request for recommendations as the context of a command contains it."""
    orders = [products.order("o1", "s2", "s1"), products.order("o2", "s3", parcels=(products.returned_parcel("s3"),))]
    return [json.dumps(request_for(orders, 3, 1))]


CASES: dict[str, Callable[[], list[str]]] = {
    "functions": _functions,
    **{f"sales/{kind}": partial(_sales, kind) for kind in ORDER_EVENTS},
    **{f"forgotten/{kind}": partial(_forgotten, kind) for kind in ORDER_EVENTS},
    **{f"described/{name}": partial(_described, changes) for name, changes in DESCRIPTIONS.items()},
    "run": _run,
    "withdrawn": _withdrawn,
    "click": _click,
    "pools": _pools,
    "mailer": _mailer,
    "wish": _wish,
}


@pytest.mark.parametrize("case", CASES)
def test_ids_are_those_of_every_version(case: str) -> None:
    """The same data gives the same ids in every version, also after classes and fields are renamed."""
    recorded = json.loads(FIXTURE.read_text(encoding="utf-8")) if FIXTURE.exists() else {}
    if os.environ.get("TAKK_GOLDEN") == "write" and case not in recorded:
        recorded[case] = CASES[case]()
        FIXTURE.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    assert CASES[case]() == recorded[case], "released ids changed: see the top of this file"


def test_recorded_product_requests_are_read() -> None:
    """The product request of a recorded command is read, and a returned product is not recommended."""
    (request,) = json.loads(FIXTURE.read_text(encoding="utf-8"))["wish"]
    category = "cat-s1"
    sold = [products.product(sku, category) for sku in ("s1", "s3", "s4")]
    assortment = products.assortment_of(*sold, counts=tuple([products.counts_of(product.sku, 5) for product in sold]))
    recommended = fulfil(json.loads(request), assortment, products.WEEK)
    assert [product["sku"] for product in (recommended or {})["products"]] == ["s4"]


def test_every_recorded_case_is_computed() -> None:
    """The file and this module have the same cases."""
    assert set(json.loads(FIXTURE.read_text(encoding="utf-8"))) == set(CASES)
