"""`takk resend`: which emails are sent again, and the records that do it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.core.values.ids import repeated_send_id, split_send_id
from streams.settings import load_settings
from streams.tools.operations.customer_story import build_timeline
from streams.tools.operations.resend import NOT_ARRIVED, Found, Selection, find, repeat, send_again
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.codec import CODEC
from tests.harness.effects import SEND
from tests.harness.kafka_fakes import FakeProducer

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NOW = AT + timedelta(hours=5)


def command(send_id: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    """Return the topic and the record of a command."""
    value = Encoder(CODEC).effects.encode(SEND, AT).value
    record = CODEC.decode("email_command", value or b"")
    return topics.COMMANDS, {**record, "send_id": send_id, "purpose": "order", "commanded_at": AT, **changes}


def event(send_id: str, outcome: str) -> tuple[str, dict[str, Any]]:
    """Return the topic and the part of an email event that matters here."""
    return topics.EVENTS, {"send_id": send_id, "outcome": outcome}


RECORDS = [
    command("a", order_id="1001"),
    command("b", order_id="1001"),
    command("c", commanded_at=AT + timedelta(hours=1)),
    command("d", purpose="marketing"),
    event("a", "sent"),
    event("b", "deferred"),
    event("b", "refused"),
    event("c", "expired"),
    event("d", "refused"),
]


@pytest.mark.parametrize(
    ("selection", "send_ids", "others"),
    [
        (Selection(send_ids=frozenset({"a"})), ["a"], 0),
        (Selection(order_ids=frozenset({"1001"}), send_ids=frozenset({"b"})), ["b"], 0),
        (Selection(since=AT, outcomes=frozenset(NOT_ARRIVED)), ["b", "c"], 1),
        (Selection(since=AT, until=AT + timedelta(minutes=1)), ["a", "b"], 1),
        (Selection(since=AT + timedelta(minutes=1)), ["c"], 0),
        (Selection(send_ids=frozenset({"x"})), [], 0),
    ],
)
def test_selection(selection: Selection, send_ids: list[str], others: int) -> None:
    """Emails are selected by id, order, time and newest outcome. Those that are not transactional are only counted."""
    found = find(RECORDS, selection)
    assert (sorted(found.commands), found.others) == (send_ids, others)


def test_the_first_attempt_and_its_retries_are_one_email() -> None:
    """The newest command of an email is repeated, once."""
    found = find([command("a"), command("a", attempt=2)], Selection(send_ids=frozenset({"a"})))
    assert [record["attempt"] for record in found.commands.values()] == [2]


@pytest.mark.parametrize(
    ("selection", "events", "send_ids"),
    [
        (Selection(since=AT, outcomes=frozenset(NOT_ARRIVED)), [], []),
        (Selection(since=AT, outcomes=frozenset(NOT_ARRIVED)), [event("a-again-1", "deferred")], []),
        (Selection(since=AT, outcomes=frozenset(NOT_ARRIVED)), [event("a-again-1", "sent")], []),
        (Selection(since=AT, outcomes=frozenset(NOT_ARRIVED)), [event("a-again-1", "refused")], ["a-again-1"]),
        (Selection(since=AT, until=NOW, outcomes=frozenset({"refused"})), [event("a-again-1", "refused")], ["a"]),
        (Selection(order_ids=frozenset({"o1"})), [event("a-again-1", "sent")], ["a-again-1"]),
        (Selection(send_ids=frozenset({"a"})), [event("a-again-1", "sent")], ["a"]),
    ],
)
def test_an_email_and_its_repetitions_are_one(
    selection: Selection, events: list[tuple[str, dict[str, Any]]], send_ids: list[str]
) -> None:
    """An email that was sent again counts once, with the outcome of its newest repetition, unless it is named."""
    records = [
        command("a", order_id="o1"),
        event("a", "refused"),
        command("a-again-1", order_id="o1", commanded_at=NOW),
    ]
    assert sorted(find([*records, *events], selection).commands) == send_ids


def test_an_email_is_sent_again_as_a_new_one() -> None:
    """The command has a new send id, its first attempt, all its time and the same content; a decision has the reason."""
    found = find([command("a")], Selection(send_ids=frozenset({"a"})))
    (sent, decided) = repeat(found, Encoder(CODEC), NOW)
    before, after = RECORDS[0][1], CODEC.decode("email_command", sent.value or b"")
    assert (after["send_id"], after["attempt"], after["commanded_at"]) == ("a-again-1", 1, NOW)
    assert after["not_after"] - NOW == before["not_after"] - AT
    assert after["context"] == before["context"]
    assert sent.key == before["customer_id"].encode()
    assert Decoder(CODEC).command(sent.value or b"", sent.headers).send_id == "a-again-1"
    decision = CODEC.decode("flow_decision", decided.value or b"")
    timeline = build_timeline(before["customer_id"], [(topics.DECISIONS, decision)], None)
    assert [(entry.what, entry.send_id, entry.text) for entry in timeline.entries] == [
        ("send", "a-again-1", "it was sent again by hand with `takk resend` (repeats a)")
    ]


def test_an_email_can_be_sent_again_often() -> None:
    """Each time has its own id, also if an email that was itself sent again is selected."""
    records = [command("a"), command("a-again-1"), command("a-again-2")]
    found = find(records, Selection(send_ids=frozenset({"a", "a-again-2"})))
    ids = [CODEC.decode("email_command", record.value or b"")["send_id"] for record in repeat(found, Encoder(CODEC), NOW)
           if record.topic == topics.COMMANDS]  # fmt: skip
    assert ids == ["a-again-3", "a-again-4"]


def test_all_records_are_one_transaction() -> None:
    """A failure publishes none of the emails, so that the command can be repeated."""

    class Producer(FakeProducer):
        def init_transactions(self, timeout_s: float) -> None:
            self._call("init")

        def commit_transaction(self, timeout_s: float = 0.0) -> None:
            super().commit_transaction()

        def produce(self, topic: str, value: bytes | None, key: bytes, **more: Any) -> None:
            super().produce(topic, value, key)

    producer = Producer()
    found = find(RECORDS, Selection(since=AT, outcomes=frozenset(NOT_ARRIVED)))
    assert send_again(load_settings(), found, NOW, producer=producer) == 2
    assert producer.calls == ["init", "begin", "produce", "commit"]
    assert [topic for topic, _, _ in producer.committed] == 2 * [topics.COMMANDS, topics.DECISIONS]
    producer = Producer(fail={"commit": RuntimeError()})
    with pytest.raises(RuntimeError):
        send_again(load_settings(), Found({"a": RECORDS[0][1]}), NOW, producer=producer)
    assert producer.committed == []


@pytest.mark.parametrize("send_id", ["a", "4ec0", "-again-1", "a-again-", "a-again-x", "a-again-1234567"])
def test_ids_of_first_emails(send_id: str) -> None:
    """Only the ids that a resend makes are those of repeated emails."""
    assert split_send_id(send_id) == (send_id, 0)
    assert split_send_id(repeated_send_id(send_id, 12)) == (send_id, 12)


def test_an_erased_customer_gets_nothing_again() -> None:
    """Emails that were decided before their customer was erased are left out. Those of a later order are not."""
    customer = command("a")[1]["customer_id"]
    records = [
        command("a"),
        command("c", commanded_at=AT + timedelta(hours=1)),
        command("x", customer_id="other"),
    ]
    found = find(records, Selection(since=AT), {customer: AT + timedelta(minutes=30)})
    assert (sorted(found.commands), found.erased) == (["c", "x"], 1)
