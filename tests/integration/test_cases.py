"""The cases of the driver with a real broker, worker and mailer, on days of two seconds: they give the same emails for the same reasons."""

from __future__ import annotations

import heapq
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition

from streams.definitions.loader import load_ruleset
from streams.mail.rendering.template_folders import flow_folders
from streams.tools.cli.main import main
from streams.tools.operations.customer_records import read_timeline
from streams.tools.operations.customer_states import read_customers
from streams.tools.operations.rule_texts import RULES
from streams.tools.simulation.history import from_topics, products_from_topic
from streams.tools.simulation.outcome import simulate
from streams.wire import topics
from tests.driver.cases import CASES, Case, CaseEvent, CaseRun
from tests.driver.language_cases import FLOWS, LANGUAGE_CASES, POOL, language_run
from tests.harness import records
from tests.harness.events import MESSAGES
from tests.harness.patient_templates import patient_templates
from tests.harness.stack import Stack, open_stack

#: Events whose order matters are at least 0.5 days apart, so 1 s. The worker needs 0.1 to 0.3 s per record on a busy machine.
DAY_S = 2.0
#: Enough customers to reach all partitions.
WARM_UPS = 12
#: Orders of such a customer at most.
WARM_UP_ORDERS = 20
#: How often a case is tried. On a quiet machine the first attempt of every case has the result of the table.
ATTEMPTS = 5
#: After that many days more than its length, a case is tried again that lacks an output: on a busy machine a click came too soon after its
#: email, as that of a scanner does.
LATE_DAYS = 30.0
WATCHED = (topics.COMMANDS, topics.DECISIONS, topics.ATTRIBUTED, topics.CLAIMS)
ALL_CASES = (*CASES, *LANGUAGE_CASES)
#: Enough for every attempt of every case.
CODES = 20
#: A plain email.
EMAIL = '{% extends "shared/layout.html.j2" %}{% block content %}<p>.</p>{% endblock %}\n'


class OutputReader:
    """The output that the worker has committed so far, by topic and customer."""

    def __init__(self, stack: Stack) -> None:
        self._codec = stack.codec
        self.records: dict[tuple[str, str], list[dict[str, Any]]] = {}
        config = {"group.id": "watch", "isolation.level": "read_committed", "enable.auto.commit": False}
        self._consumer = Consumer({**stack.settings.kafka(), **config})
        self._consumer.assign([TopicPartition(t, n, 0) for t in WATCHED for n in range(stack.settings.partitions)])

    def read(self) -> None:
        """Read the new records."""
        while messages := self._consumer.consume(1000, 0.05):
            for message in messages:
                assert message.error() is None, message.error()
                record = self._codec.decode(topics.SCHEMA_OF[message.topic()], message.value())
                self.records.setdefault((message.topic(), record["customer_id"]), []).append(record)

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def of(self, topic: str, case: Case) -> list[dict[str, Any]]:
        """Return the records of the case on `topic`."""
        guest = self.records.get((topic, f"{case.name}-guest"), [])
        return guest + self.records.get((topic, case.name), [])

    def mails(self, case: Case) -> Counter[tuple[str, str]]:
        """Count the emails of the case by flow and message."""
        return Counter((command["flow"], command["message"]) for command in self.of(topics.COMMANDS, case))

    def not_sent(self, case: Case) -> set[tuple[str, str, str]]:
        """Return the decisions of the case that send no email, as (flow, outcome, rule), without those about flows of other cases."""
        decisions = self.of(topics.DECISIONS, case)
        return {
            (decision["flow"], decision["outcome"], decision["rule"])
            for decision in decisions
            if decision["outcome"] != "send" and decision["rule"] != "where"
        }

    def ordered(self, case: Case) -> set[tuple[str, str]]:
        """Return the orders of the case that were credited to an email, as (order, message)."""
        credits = [record for record in self.of(topics.ATTRIBUTED, case) if record["kind"] == "ordered"]
        return {(credit["order_id"].removeprefix(f"{case.name}-"), credit["message"]) for credit in credits}


class StackRun:
    """All cases at once on a stack, and on the driver, which gets the same events at the same time.

    On a busy machine the worker may read an event after a timer that should come later, and the case then rightly has another result.
    Such a case is tried again with another customer.

    Attributes:
        attempts: the name of a case -> the case as it was tried, with the name of each attempt's customer; the last one counts.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.outputs = OutputReader(stack)
        self.attempts: dict[str, list[Case]] = {case.name: [] for case in ALL_CASES}
        self._case_runs: dict[str, CaseRun] = {}
        self._start = 0.0

    def days(self) -> float:
        """Return the days that have passed in the cases."""
        return (time.monotonic() - self._start) / DAY_S

    def run(self) -> None:
        """Try the cases until each has the result of the table, or has been tried `ATTEMPTS` times."""
        for number in range(CODES):
            code = records.discount_code(pool=POOL, code=f"CODE-{number}", expires_at=None)
            self.stack.enqueue(topics.CODES, POOL.encode(), code)
        self._warm_up()
        left = list(ALL_CASES)
        for number in range(ATTEMPTS):
            tried = [replace(case, name=f"{case.name}-{number}" if number else case.name) for case in left]
            for case, attempt in zip(left, tried, strict=True):
                self.attempts[case.name].append(attempt)
            self._try(tried)
            left = [case for case, attempt in zip(left, tried, strict=True) if not self._is_over(attempt)]
            if not left:
                break
        self.stack.wait_until_idle()
        self.outputs.read()

    def _try(self, cases: list[Case]) -> None:
        """Publish each event at its time, then wait until every case has the outputs of the table, or one that is not in it."""
        self._start = time.monotonic()
        self._case_runs = {case.name: language_run(case) for case in cases}
        # The next events of each case, by their time. A case whose events came late on a busy machine has all its later events later: their
        # distances decide which email comes first.
        plans = [case.events_by_time() for case in cases]
        queue = [(at, number, at, events) for number, plan in enumerate(plans) for at, events in [next(plan)]]
        heapq.heapify(queue)
        while queue:
            due, number, at, events = heapq.heappop(queue)
            self.stack.wait_until(partial(self._is_day, due), f"day {due}")
            published = self._publish(due, cases[number], events)
            if published is None:
                continue
            for then, later in islice(plans[number], 1):
                heapq.heappush(queue, (then + published - at, number, then, later))
        for case in cases:
            self.stack.wait_until(partial(self._has_ended, case), f"the end of the case {case.name}")

    def _warm_up(self) -> None:
        """Order until each customer of the warm-up has an email in time.

        The first transactions of a new broker and worker take seconds, which would be days in the cases. On a busy machine the emails of
        an order may expire: two days last four seconds here. Then the customer orders again.
        """
        left = {f"warm-up-{number}" for number in range(WARM_UPS)}
        for number in range(WARM_UP_ORDERS):
            for customer in sorted(left):
                now = datetime.now(UTC)
                order = records.order(
                    customer_id=customer,
                    order_id=f"{customer}-{number}",
                    email=f"{customer}@example.org",
                    placed_at=now,
                    occurred_at=now,
                )
                self.stack.produce(topics.ORDERS, customer.encode(), order)
            self.stack.wait_until_idle(quiet_s=1.0)
            left -= {to.partition("@")[0] for mail in self.stack.inbox.mails("warm-up-") for to in mail.to}
            if not left:
                return
        raise AssertionError(f"no order of {sorted(left)} was followed by an email")

    def _is_day(self, at: float) -> bool:
        return self.days() >= at

    def _publish(self, at: float, case: Case, events: list[CaseEvent]) -> float | None:
        """Give the events to the driver and to the stack, once the stack has all emails that the driver has for earlier events.

        Returns:
            the day of the case on which that was; None if the case must be tried again.
        """
        case_run = self._case_runs[case.name]
        case_run.advance_to_day(max(at, case_run.days))
        due = Counter(case_run.mails)
        self.stack.wait_until(
            lambda: self._has(case, due) or self._deviates(case), f"{case.name}, day {at}: {dict(due)}"
        )
        if self._deviates(case):
            return None
        case_run.advance_to_day(self.days())
        case_run.handle(events)
        sends = {command["message"]: command["send_id"] for command in self.outputs.of(topics.COMMANDS, case)}
        for event in events:
            record = event.record(case.name, datetime.now(UTC), sends)
            self.stack.produce(event.topic, event.key(case.name).encode(), record)
        return case_run.days

    def _has(self, case: Case, due: Counter[tuple[str, str]]) -> bool:
        """Return whether the case has all `due` emails."""
        self.outputs.read()
        return not due - self.outputs.mails(case)

    def _deviates(self, case: Case) -> bool:
        """Return whether the case has an output that is not in the table, on the stack or on the driver, or one that came too early."""
        self.outputs.read()
        case_run = self._case_runs[case.name]
        case_run.advance_to_day(max(self.days(), case_run.days))
        mails = self.outputs.mails(case)
        return bool(
            mails - Counter(case.mails)
            or mails - Counter(case_run.mails)
            or Counter(case_run.mails) - Counter(case.mails)
            or self.outputs.not_sent(case) - case.not_sent
            or self.outputs.ordered(case) - case.ordered
        )

    def _is_over(self, case: Case) -> bool:
        return (
            self._has(case, Counter(case.mails))
            and case.not_sent <= self.outputs.not_sent(case)
            and case.ordered <= self.outputs.ordered(case)
        )

    def _has_ended(self, case: Case) -> bool:
        return self._is_over(case) or self._deviates(case) or self.days() > case.days + LATE_DAYS


def add_flow(templates: Path, name: str, text: str) -> None:
    """Add a flow with a plain email for each of its messages."""
    folder = templates / "flows" / "cases" / name
    (folder / "copy").mkdir(parents=True)
    (folder / "flow.yaml").write_text(text)
    used = sorted(set(re.findall(r"message: (\w)", text)))
    for message in used:
        (folder / f"{message}.html.j2").write_text(EMAIL)
    for language in ("en", "da"):
        copy = "".join(f"{message}.subject: {name} {message}\n" for message in used)
        (folder / "copy" / f"{language}.yaml").write_text(copy)


@pytest.fixture(scope="module")
def stack_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackRun]:
    """The completed run of all cases, with only the flows that the cases use."""
    folder = tmp_path_factory.mktemp("stack")
    templates = patient_templates(folder / "templates")
    for name, flow in flow_folders(templates).items():
        if name not in MESSAGES:
            shutil.rmtree(flow)
    for name, text in FLOWS.items():
        add_flow(templates, name, text)
    env = {"TAKK_TEMPLATES_DIR": str(templates), "TAKK_ADDRESS_SECRET": "0e7a5c3f9b1d48e2a6c4f08b"}
    with open_stack(folder, day_s=DAY_S, env=env) as stack:
        stack_run = StackRun(stack)
        try:
            stack_run.run()
            yield stack_run
        finally:
            stack_run.outputs.close()


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_case(stack_run: StackRun, case: Case) -> None:
    """With a real broker the case has exactly the emails, refusals, credits and claims of the table, and each email arrives once."""
    attempts = stack_run.attempts[case.name]
    case = attempts[-1]
    assert stack_run.outputs.mails(case) == Counter(case.mails)
    assert stack_run.outputs.not_sent(case) == case.not_sent
    assert stack_run.outputs.ordered(case) == case.ordered
    assert len(stack_run.outputs.of(topics.CLAIMS, case)) == case.claims
    for attempt in attempts:
        arrived = Counter(email.send_id for email in stack_run.stack.inbox.mails(f"{attempt.name}@example.org"))
        assert arrived == Counter(command["send_id"] for command in stack_run.outputs.of(topics.COMMANDS, attempt))
        assert set(arrived.values()) <= {1}


def test_metrics_of_the_worker(stack_run: StackRun) -> None:
    """The metrics of the worker count the hard bounces, the complaints, the clicks of each kind of agent and the credited orders."""
    series = stack_run.stack.worker.series()
    reported = Counter(
        (record["kind"], record["flow"], record["agent"])
        for (topic, _), found in stack_run.outputs.records.items()
        if topic == topics.ATTRIBUTED
        for record in found
    )
    for name, counted, at_least in (
        ('takk_bounces_total{flow="order-confirmation",kind="hard"}', ("bounced", "order-confirmation", "unknown"), 1),
        ('takk_complaints_total{flow="order-confirmation"}', ("complained", "order-confirmation", "human"), 1),
        ('takk_clicks_total{agent="human",flow="thank-you"}', ("clicked", "thank-you", "human"), 2),
        ('takk_clicks_total{agent="scanner",flow="thank-you"}', ("clicked", "thank-you", "scanner"), 1),
        ('takk_attributed_orders_total{flow="thank-you"}', ("ordered", "thank-you", "human"), 2),
    ):
        assert series[name] == reported[counted] >= at_least, name
    assert stack_run.stack.worker.metrics().get("takk_dead_letters_total", 0) == 0


def test_why_lists_the_emails_of_each_case(stack_run: StackRun) -> None:
    """`takk why` reads every email of the case and its outcome from the cluster, and the customers from the state."""
    settings = stack_run.stack.settings
    for case in (stack_run.attempts[case.name][-1] for case in CASES[:3]):
        timeline = read_timeline(settings, case.name)
        decided = Counter((entry.flow, entry.what) for entry in timeline.entries if entry.what == "send")
        assert decided == Counter((flow, "send") for flow, _ in case.mails)
        accepted = [entry for entry in timeline.entries if entry.what == "sent"]
        assert {entry.send_id for entry in accepted} == {
            command["send_id"] for command in stack_run.outputs.of(topics.COMMANDS, case)
        }
    assert not read_timeline(settings, "nobody").is_known
    customer_ids = {customer.customer_id for customer in read_customers(settings, lambda done, total: None)}
    assert {attempt.name for attempts in stack_run.attempts.values() for attempt in attempts} <= customer_ids


def takk(stack_run: StackRun, *arguments: str) -> str:
    """Run the command `takk` on the cluster of the cases, in this process, and return its output."""
    done = CliRunner().invoke(main, arguments, env=stack_run.stack.env, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_why_explains_emails_that_joined_another(stack_run: StackRun) -> None:
    """`takk why` prints the email that three products share, and that two of them joined it."""
    case = stack_run.attempts["together"][-1]
    text = takk(stack_run, "why", case.name)
    assert text.count("skip      together step 1 of order") == 2
    assert text.count(f"{RULES['joined']} (") == 2
    assert text.count("sent      together email a of order") == 1


def test_an_event_is_explained_for_a_customer_of_the_cluster(stack_run: StackRun) -> None:
    """`takk flows explain` reads the customer's state: a wait that moves, a flow that started before, and a condition with its values."""
    pool, points = (stack_run.attempts[name][-1].name for name in ("pool", "points"))
    event = {"kind": "contest_entered", "contest": "pool", "occurred_at": datetime.now(UTC).isoformat()}
    lines = takk(stack_run, "flows", "explain", json.dumps(event), "--customer", pool).splitlines()
    assert lines[0] == f"customer {pool} (times in UTC)"
    assert "pool v1 does not start: it already started for this customer (once_per: customer)" in lines
    assert (
        "waiting v1 does not start: the flow does not apply to this order or customer "
        "(not true: event.contest == 'waiting'); event.contest is 'pool'" in lines
    )
    event = {
        "kind": "answered",
        "question": "points",
        "answer_thousandths": 40_000,
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    lines = takk(stack_run, "flows", "explain", json.dumps(event), "--customer", points).splitlines()
    assert "points v1 starts" in lines
    (send,) = [line for line in lines if line.startswith("  step 2")]
    # The points of the earlier answers are those of the state: 5 for each, and the fourth one with 40 makes it enough.
    assert send.startswith("  step 2.0.0: send: the customer agreed to such emails (sends a; ")


def test_simulation_reads_the_history_from_the_topics(stack_run: StackRun) -> None:
    """`takk simulate --from topic` reads all events of the shop and its products: the same orders are confirmed, and the same wishes met."""
    settings = stack_run.stack.settings
    ruleset = load_ruleset(settings.templates_dir, **settings.ruleset_options())
    simulated = simulate(ruleset, from_topics(settings), 10, versions=products_from_topic(settings).versions)
    keys = [key for key in stack_run.outputs.records if key[0] == topics.COMMANDS]
    commands = Counter(command["flow"] for key in keys for command in stack_run.outputs.records[key])
    for name in ("order-confirmation/confirmation", "back/a", "cheaper/a"):
        assert simulated.by_flow[name] == commands[name.partition("/")[0]] > 0


def test_simulation_reads_the_catalogue_from_its_topic(stack_run: StackRun) -> None:
    """`takk simulate --from topic` reads the products on sale, and counts invalid records by reason."""
    fields = {"title": "T", "category": "c", "unit_price_minor": 1, "currency": "DKK", "updated_at": datetime.now(UTC)}
    for sku, key in (("a", b"a"), ("b", b"b"), ("c", b"another")):
        stack_run.stack.produce(topics.PRODUCTS, key, {"sku": sku, **fields})
    stack_run.stack.produce(topics.PRODUCTS, b"b", None)
    products = products_from_topic(stack_run.stack.settings)
    assert [product.sku for product in products.catalogue if len(product.sku) == 1] == ["a"]
    assert products.invalid == {"bad_id": 1}


def test_a_refusal_holds_for_every_customer_id_of_its_address(stack_run: StackRun) -> None:
    """Anna unsubscribes. A guest with her address in capitals gets the receipt and no review request; everything follows from the input."""
    stack, now = stack_run.stack, datetime.now(UTC)

    def order(customer: str, email: str) -> None:
        fields = {
            "customer_id": customer,
            "order_id": f"o-{customer}",
            "email": email,
            "placed_at": now,
            "occurred_at": now,
        }
        stack.produce(topics.ORDERS, customer.encode(), records.order(**fields))

    def decided(customer: str) -> set[str]:
        decisions = stack.records(topics.DECISIONS)
        return {decision["rule"] for decision in decisions if decision["customer_id"] == customer}

    order("anna", "anna@shared.example")
    stack.wait_until(lambda: stack.inbox.mails("anna@shared.example") != [], "the receipt of anna")
    unsubscribed = records.engagement(
        "unsubscribed", customer_id="anna", send_id=None, scope="marketing", occurred_at=now
    )
    stack.produce(topics.ENGAGEMENT, b"anna", unsubscribed)
    stack.wait_until(lambda: stack.records(topics.SUPPRESSIONS) != [], "the suppression of the address")
    order("guest-17", "ANNA@Shared.Example")
    delivered = records.shipment(
        customer_id="guest-17", order_id="o-guest-17", parcel_id="p-guest-17", status="delivered", occurred_at=now
    )
    stack.produce(topics.SHIPMENTS, b"guest-17", delivered)
    stack.wait_until(lambda: "address_suppressed" in decided("guest-17"), "the decision about the review request")
    assert stack.inbox.mails("ANNA@Shared.Example") != []
    stack.wait_until_idle()
    verdict = stack.judge()
    assert (verdict.problems, verdict.lost, verdict.duplicates) == ([], [], [])
