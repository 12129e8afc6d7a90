"""Counting what an event led to: decisions, engagement by flow, message and agent, and rejected records."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from streams.agents.instrumentation import Instrumentation, count_effects
from streams.core.engine import advance
from streams.core.model.clicks import HOLD
from streams.core.model.customer import Customer, Sent, new_customer
from streams.core.model.events import (
    AgentClass,
    Event,
    MailBounced,
    MailClicked,
    MailComplained,
    MailDelivered,
    MailOpened,
    OrderPlaced,
    SurveyAnswered,
    TimerFired,
    Unsubscribed,
)
from streams.core.model.orders.order import OrderDetails
from streams.observability import metrics
from streams.runtime.errors import CommitTimeout
from streams.runtime.processing.stage import identity
from streams.wire import topics
from streams.wire.codec import open_codec
from tests.harness.events import order, shop_ruleset
from tests.harness.kafka_fakes import Record
from tests.harness.records import AT

RULESET = shop_ruleset()
FLOW, MESSAGE = "order-confirmation", "confirmation"
SENT = Sent("s1", FLOW, 1, "0", MESSAGE, "order", None, AT)


@dataclass
class Finished:
    """A batch of partition 0 that has ended."""

    committed: asyncio.Future[None] | None
    partition: int = 0
    records: Sequence[Any] = ()
    read: dict[str, int] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    started: float = 0.0
    computed: float = 0.0


class Counts:
    """The increases of a metric's series since this object was made, by label values."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._before = self._values()

    def _values(self) -> dict[tuple[str, ...], float]:
        names = self._metric._labelnames
        samples = [sample for sample in self._metric.collect()[0].samples if sample.name.endswith("_total")]
        return {tuple(sample.labels[name] for name in names): sample.value for sample in samples}

    def __call__(self) -> dict[tuple[str, ...], float]:
        """Label values -> increase, without those that did not change."""
        after = self._values()
        return {
            key: value - self._before.get(key, 0) for key, value in after.items() if value != self._before.get(key, 0)
        }


class Run:
    """One customer with one email, and the counters of engagement."""

    def __init__(self) -> None:
        self.customer: Customer = replace(new_customer("c1"), sends=(SENT,))
        self.engagement = Counts(metrics.ENGAGEMENT)
        self.first = Counts(metrics.ENGAGED_EMAILS)

    def handle(self, event: Event) -> None:
        """Apply an event and count its effects."""
        before = self.customer
        self.customer, effects = advance(RULESET, before, event, AT + timedelta(days=1))
        count_effects(event, effects, before, self.customer)

    def open(self, agent: AgentClass, minutes: int, send_id: str = "s1") -> None:
        """Open an email some minutes after it was sent."""
        at = AT + timedelta(minutes=minutes)
        self.handle(MailOpened(customer_id="c1", send_id=send_id, agent=agent, occurred_at=at))

    def click(self, agent: AgentClass, minutes: int) -> None:
        """Click a link some minutes after the email was sent, and wait until the click counts."""
        at = AT + timedelta(minutes=minutes)
        link = "https://shop.example/"
        self.handle(MailClicked(customer_id="c1", send_id="s1", link=link, agent=agent, occurred_at=at))
        due_at = AT + timedelta(days=1) + HOLD
        self.handle(
            TimerFired(
                customer_id="c1",
                timer_id="t",
                instance_id="i",
                flow="f",
                step="clicks",
                due_at=due_at,
                occurred_at=due_at,
            )
        )


def test_every_open_counts_and_the_first_counts_once() -> None:
    """Each open is engagement. The email itself counts once, with the agent that opened it first."""
    run = Run()
    run.open("unknown", 1)
    run.open("human", 2)
    run.open("human", 3)
    assert run.engagement() == {(FLOW, MESSAGE, "opened", "unknown"): 1, (FLOW, MESSAGE, "opened", "human"): 2}
    assert run.first() == {(FLOW, MESSAGE, "opened", "unknown"): 1}


def test_a_machine_is_never_first() -> None:
    """Opens by a proxy or a scanner, and clicks by anybody but a human, count as engagement only; a human afterwards is the first."""
    run = Run()
    run.open("privacy_proxy", 1)
    run.open("scanner", 2)
    run.click("scanner", 3)
    run.click("unknown", 4)
    assert run.first() == {}
    assert len(run.engagement()) == 4
    run.open("human", 5)
    run.click("human", 6)
    run.click("human", 7)
    assert run.first() == {(FLOW, MESSAGE, "opened", "human"): 1, (FLOW, MESSAGE, "clicked", "human"): 1}


def test_an_order_that_does_not_add_up_is_counted_and_a_test_is_not() -> None:
    """The decision counts once for each order; no decision about a test order counts."""
    run, decisions = Run(), Counts(metrics.DECISIONS)
    wrong = order("o1", AT, total_minor=1, details=OrderDetails(shipping_minor=0))
    run.handle(OrderPlaced(wrong, AT))
    run.handle(OrderPlaced(wrong, AT))
    counted = decisions()
    assert counted[("", "note", "does_not_add_up")] == 1
    run.handle(OrderPlaced(order("o2", AT, total_minor=1, details=OrderDetails(shipping_minor=0, is_test=True)), AT))
    assert decisions() == counted


def test_a_duplicate_does_not_count() -> None:
    """The same open, read twice, counts once."""
    run = Run()
    run.open("human", 1)
    run.open("human", 1)
    assert run.engagement() == {(FLOW, MESSAGE, "opened", "human"): 1}


def test_an_email_that_is_no_longer_stored() -> None:
    """Engagement with it has no flow and no message, and it is not known whether it is the first."""
    run = Run()
    run.open("human", 1, send_id="forgotten")
    assert run.engagement() == {("", "", "opened", "human"): 1}
    assert run.first() == {}


def test_the_agent_only_matters_for_opens_and_clicks() -> None:
    """All other kinds have the agent `unknown`, whatever the event says."""
    run, bounces = Run(), Counts(metrics.BOUNCES)
    run.handle(MailDelivered(customer_id="c1", send_id="s1", occurred_at=AT))
    run.handle(MailBounced(customer_id="c1", send_id="s1", hard=True, reason="550 5.1.1", occurred_at=AT))
    run.handle(MailComplained(customer_id="c1", send_id="s1", occurred_at=AT))
    run.handle(Unsubscribed(customer_id="c1", send_id="s1", scope="marketing", occurred_at=AT))
    run.handle(SurveyAnswered(customer_id="c1", send_id="s1", question="size", answer="fits", occurred_at=AT))
    kinds = ("delivered", "bounced", "complained", "unsubscribed", "answered")
    assert run.engagement() == {(FLOW, MESSAGE, kind, "unknown"): 1 for kind in kinds}
    assert run.first() == {}
    assert bounces() == {(FLOW, "hard"): 1}


def test_an_unknown_currency_is_other() -> None:
    """An order may have any three letters as its currency; those that are not in ISO 4217 share one series."""
    run, by_message, by_flow = Run(), Counts(metrics.ATTRIBUTED_MESSAGE_REVENUE), Counts(metrics.ATTRIBUTED_REVENUE)
    run.click("human", 1)
    for number, currency in enumerate(("QQQ", "QQX", "JPY")):
        at = AT + timedelta(hours=1 + number)
        placed = replace(order(f"o{number}", at, customer_id="c1"), currency=currency, total_minor=100)
        run.handle(OrderPlaced(order=placed, occurred_at=at))
    assert by_flow() == {(FLOW, "other"): 200, (FLOW, "JPY"): 100}
    assert by_message() == {(FLOW, MESSAGE, "other"): 200, (FLOW, MESSAGE, "JPY"): 100}


def test_an_order_after_a_click() -> None:
    """It counts for the message that was clicked, with its revenue."""
    run, by_message, by_flow = Run(), Counts(metrics.ATTRIBUTED_MESSAGE_REVENUE), Counts(metrics.ATTRIBUTED_REVENUE)
    run.click("human", 1)
    placed = order("o9", AT + timedelta(hours=1), customer_id="c1")
    run.handle(OrderPlaced(order=placed, occurred_at=placed.placed_at))
    assert run.engagement()[(FLOW, MESSAGE, "ordered", "unknown")] == 1
    assert by_message() == {(FLOW, MESSAGE, placed.currency): placed.total_minor}
    assert by_flow() == {(FLOW, placed.currency): placed.total_minor}


def test_rejected_records_count_after_the_commit() -> None:
    """Dead letters and republished records count once their batch is committed: one that is not is read again."""

    async def finish(outcome: Exception | None) -> None:
        for record in (Record(0), Record(1)):
            of.dead_letter(record, "not_avro", "", 0)
        of.on_misrouted(Record(2))
        assert (letters(), republished()) == before
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        committed.set_exception(outcome) if outcome else committed.set_result(None)
        of.on_done(Finished(committed))

    of = Instrumentation(open_codec()).stage(
        "scheduler", (topics.DELAYS,), table="timers", encode=identity, decode=identity
    )
    letters, republished = Counts(metrics.DEAD_LETTERS), Counts(metrics.REPUBLISHED)
    before: Any = ({}, {})
    asyncio.run(finish(CommitTimeout()))
    assert (letters(), republished()) == before
    for count in (1, 2):
        asyncio.run(finish(None))
        before = ({("scheduler", "not_avro"): 2 * count}, {("scheduler",): count})
        assert (letters(), republished()) == before
