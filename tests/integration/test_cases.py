"""The cases of the driver on a real broker, with the real worker and mailer, on days of two seconds: the same mails for the same reasons."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.definitions.loader import load_ruleset
from streams.mail.rendering.template_folders import flow_folders
from streams.settings import PROJECT_ROOT
from streams.tools.operations.customer_states import read_customers
from streams.tools.operations.customer_story import read_timeline
from streams.tools.simulation.history import from_topics, products_from_topic
from streams.tools.simulation.outcome import simulate
from streams.wire import topics
from tests.driver.cases import CASES, Case, CaseEvent, CaseRun
from tests.harness import records
from tests.harness.events import MESSAGES
from tests.harness.stack import Stack, open_stack, wait_until

#: What must not cross on a real broker lies 0.5 days apart at least; the worker needs 0.1 to 0.3 s for a record on a busy machine.
DAY_S = 2.0
#: Customers enough for all partitions.
WARM_UPS = 12
WATCHED = (topics.COMMANDS, topics.DECISIONS, topics.ATTRIBUTED)


class Watch:
    """What the worker has committed so far, by customer."""

    def __init__(self, stack: Stack) -> None:
        self._codec = stack.codec
        self.records: dict[tuple[str, str], list[dict[str, Any]]] = {}
        config = {"group.id": "watch", "isolation.level": "read_committed", "enable.auto.commit": False}
        self._consumer = Consumer({**stack.settings.kafka(), **config})
        self._consumer.assign([TopicPartition(t, n, 0) for t in WATCHED for n in range(stack.settings.partitions)])

    def look(self) -> None:
        """Take in what is new."""
        while found := self._consumer.consume(1000, 0.05):
            for message in found:
                assert message.error() is None, message.error()
                record = self._codec.decode(topics.SCHEMA_OF[message.topic()], message.value())
                self.records.setdefault((message.topic(), record["customer_id"]), []).append(record)

    def close(self) -> None:
        """Look no more."""
        self._consumer.close()

    def of(self, topic: str, case: Case) -> list[dict[str, Any]]:
        """What came of the case on `topic`."""
        return self.records.get((topic, case.name), [])

    def mails(self, case: Case) -> Counter[tuple[str, str]]:
        """Flow and message of the case's mails."""
        return Counter((one["flow"], one["message"]) for one in self.of(topics.COMMANDS, case))

    def not_sent(self, case: Case) -> set[tuple[str, str, str]]:
        """The case's decisions that are not for a mail."""
        found = {(one["flow"], one["outcome"], one["rule"]) for one in self.of(topics.DECISIONS, case)}
        return {one for one in found if one[1] != "send"}

    def ordered(self, case: Case) -> set[tuple[str, str]]:
        """The case's orders that were credited to a mail, with its message."""
        credits = [one for one in self.of(topics.ATTRIBUTED, case) if one["kind"] == "ordered"]
        return {(one["order_id"].removeprefix(f"{case.name}-"), one["message"]) for one in credits}


class Stage:
    """All cases at once on a stack, and beside it the driver, which is told the same at the same moment."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.watch = Watch(stack)
        self.case_runs = {case.name: CaseRun(case) for case in CASES}
        self._start = 0.0

    def days(self) -> float:
        """Days of the cases that have passed."""
        return (time.monotonic() - self._start) / DAY_S

    def run(self) -> None:
        """Tell every fact at its time, then wait until all that the table says has come."""
        self._warm_up()
        self._start = time.monotonic()
        events_by_time = ((at, case, facts) for case in CASES for at, facts in case.events_by_time())
        for at, case, facts in sorted(events_by_time, key=lambda moment: moment[0]):
            wait_until(partial(self._is_day, at), f"day {at}")
            self._tell(at, case, facts)
        for case in CASES:
            wait_until(partial(self._is_over, case), f"the end of the case {case.name}")
        self.stack.wait_until_idle()
        self.watch.look()

    def _warm_up(self) -> None:
        """A broker and a worker that have just begun take seconds for their first transactions; in the cases that would be days."""
        for number in range(WARM_UPS):
            customer = f"warm-up-{number}"
            order = records.order(customer_id=customer, order_id=customer, email=f"{customer}@example.org")
            self.stack.produce(topics.ORDERS, customer.encode(), order)
        wait_until(lambda: len(self.stack.inbox.mails("warm-up-")) >= 2 * WARM_UPS, "the mails of the warm-up")

    def _is_day(self, at: float) -> bool:
        return self.days() >= at

    def _tell(self, at: float, case: Case, facts: list[CaseEvent]) -> None:
        """Tell driver and stack the facts, once the stack has made of the earlier ones what the driver made of them."""
        case_run = self.case_runs[case.name]
        case_run.advance_to_day(max(at, case_run.days))
        due = Counter(case_run.mails)
        wait_until(partial(self._has, case, due), f"{case.name}, day {at}: {dict(due)}")
        case_run.advance_to_day(self.days())
        case_run.handle(facts)
        sends = {one["message"]: one["send_id"] for one in self.watch.of(topics.COMMANDS, case)}
        for fact in facts:
            record = fact.record(case.name, datetime.now(UTC), sends)
            self.stack.produce(fact.topic, case.name.encode(), record)

    def _has(self, case: Case, due: Counter[tuple[str, str]]) -> bool:
        """Whether the mails that are due are there. None may be there before the driver, at this moment, has it."""
        self.watch.look()
        for name, case_run in self.case_runs.items():
            case_run.advance_to_day(self.days())
            early = self.watch.mails(case_run.case) - Counter(case_run.mails)
            assert not early, f"{name}: too early: {early}"
        return not due - self.watch.mails(case)

    def _is_over(self, case: Case) -> bool:
        return (
            self._has(case, Counter(case.mails))
            and case.not_sent <= self.watch.not_sent(case)
            and case.ordered <= self.watch.ordered(case)
        )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The cases, played to their end, with the flows that they are about."""
    folder = tmp_path_factory.mktemp("stack")
    templates = shutil.copytree(PROJECT_ROOT / "templates", folder / "templates")
    for name, flow in flow_folders(templates).items():
        if name not in MESSAGES:
            shutil.rmtree(flow)
    with open_stack(folder, day_s=DAY_S, env={"TAKK_TEMPLATES_DIR": str(templates)}) as stack:
        stage = Stage(stack)
        try:
            stage.run()
            yield stage
        finally:
            stage.watch.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(stage: Stage, case: Case) -> None:
    """On a real broker the case has exactly the mails, refusals and credits of the table, and every mail arrives once."""
    assert stage.watch.mails(case) == Counter(case.mails)
    assert stage.watch.not_sent(case) == case.not_sent
    assert stage.watch.ordered(case) == case.ordered
    arrived = Counter(mail.send_id for mail in stage.stack.inbox.mails(f"{case.name}@example.org"))
    assert arrived == Counter(one["send_id"] for one in stage.watch.of(topics.COMMANDS, case))
    assert set(arrived.values()) == {1}


def test_what_the_worker_counted(stage: Stage) -> None:
    """The worker's metrics tell the same: a hard bounce is counted as hard, a complaint, a click of each kind, one credited order."""
    counted = stage.stack.worker.series()
    assert counted['takk_bounces_total{flow="order-confirmation",kind="hard"}'] == 1
    assert counted['takk_complaints_total{flow="order-confirmation"}'] == 1
    assert counted['takk_clicks_total{agent="human",flow="thank-you"}'] == 1
    assert counted['takk_clicks_total{agent="scanner",flow="thank-you"}'] == 1
    assert counted['takk_attributed_orders_total{flow="thank-you"}'] == 1
    assert stage.stack.worker.metrics().get("takk_dead_letters_total", 0) == 0


def test_why_tells_each_case_s_story(stage: Stage) -> None:
    """What `takk why` reads from the cluster: every mail of the case with what became of it, and the state's customer."""
    settings = stage.stack.settings
    for case in CASES[:3]:
        found = read_timeline(settings, case.name)
        sent = Counter((line.flow, line.what) for line in found.entries if line.what == "send")
        assert sent == Counter((flow, "send") for flow, _ in case.mails)
        accepted = [line for line in found.entries if line.what == "sent"]
        assert {line.send_id for line in accepted} == {
            mail["send_id"] for mail in stage.watch.of(topics.COMMANDS, case)
        }
    assert not read_timeline(settings, "nobody").is_known
    known = {customer.customer_id for customer in read_customers(settings, lambda done, total: None)}
    assert {case.name for case in CASES} <= known


def test_the_topics_are_a_history(stage: Stage) -> None:
    """`takk simulate --from topic`: all that the shop told is there, and confirms the same orders."""
    settings = stage.stack.settings
    ruleset = load_ruleset(settings.templates_dir, **settings.ruleset_options())
    found = simulate(ruleset, from_topics(settings), 10)
    confirmed = [key for key in stage.watch.records if key[0] == topics.COMMANDS]
    commands = [one for key in confirmed for one in stage.watch.records[key]]
    assert found.by_flow["order-confirmation/confirmation"] == sum(
        one["flow"] == "order-confirmation" for one in commands
    )


def test_the_topic_of_products_is_a_catalogue(stage: Stage) -> None:
    """`takk simulate --from topic` reads what the shop sells; what is no product is counted."""
    told = {"title": "T", "category": "c", "unit_price_minor": 1, "currency": "DKK", "updated_at": datetime.now(UTC)}
    for sku, key in (("a", b"a"), ("b", b"b"), ("c", b"another")):
        stage.stack.produce(topics.PRODUCTS, key, {"sku": sku, **told})
    stage.stack.produce(topics.PRODUCTS, b"b", None)
    catalogue, broken = products_from_topic(stage.stack.settings)
    assert [one.sku for one in catalogue] == ["a"]
    assert broken == {"bad_id": 1}
