"""Invalid input end to end: it gives a dead letter or a safe email, never a crash, and later records are processed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from confluent_kafka import Producer
from hypothesis import HealthCheck, Phase, given, settings

from streams.runtime.kafka.partitioner import partition_of
from streams.tools.local.kafka.committed import read_all
from streams.tools.operations.dead_letters import DeadLetter, decode
from streams.wire import topics
from streams.wire.validation import LATEST_MS
from tests.harness import raw_headers, records
from tests.harness.compressed import produce_zstd
from tests.harness.examples import examples
from tests.harness.kafka_fakes import Record
from tests.harness.stack import Stack, open_stack
from tests.harness.stage_records import STAGES, batches, decoded

HTML = '<img src=x onerror="alert(1)"><b>Anna</b>'
#: Just below Kafka's default limit for a record. Its dead letter is larger, and exceeds that limit.
HUGE = b"\xff" * 999_000
#: The topics that this stack reads: no shipped flow has a code pool or starts by a change of the catalogue, and it has no secret for addresses.
READ = tuple(
    topic for stage, names in STAGES.items() if stage not in ("pools", "suppressions", "catalogue") for topic in names
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for this module. A day lasts an hour, so no thank-you email is due; each test uses its own customers."""
    with open_stack(tmp_path_factory.mktemp("stack"), day_s=3600.0) as stack:
        yield stack


def order(customer: str, **changes: Any) -> dict[str, Any]:
    """Return a valid order of `customer`, placed now, with `changes` to its fields."""
    now = datetime.now(UTC)
    values = {
        "order_id": f"o-{customer}",
        "customer_id": customer,
        "email": f"{customer}@example.org",
        "placed_at": now,
        "occurred_at": now,
    }
    return records.order(**(values | changes))


def invalid_orders(stack: Stack) -> list[tuple[str, bytes | None]]:
    """Return (reason, bytes) of invalid orders."""

    def encoded(**changes: Any) -> bytes:
        return stack.codec.encode("order", order("bad", **changes))

    valid = encoded()
    return [
        ("not_avro", b"not Avro at all"),
        ("not_avro", b""),
        ("not_avro", HUGE),
        ("no_value", None),
        ("unknown_schema", b"\xc3\x01" + b"\x00" * 8 + valid[10:]),
        ("truncated", valid[:-20]),
        ("not_avro", valid + b"more"),
        ("no_customer", encoded(customer_id="")),
        ("negative_amount", encoded(total_minor=-1)),
        ("bad_time", encoded(placed_at=datetime(3000, 1, 1, tzinfo=UTC))),
        ("future_time", encoded(occurred_at=datetime.now(UTC) + timedelta(days=30))),
        ("too_many_lines", encoded(lines=[records.line()] * 10_000)),
        ("bad_currency", encoded(currency="kr")),
        ("bad_id", encoded(order_id="o\n1")),
    ]


def dead_letters(stack: Stack) -> list[DeadLetter]:
    """Return all dead letters on the topic."""
    letters = read_all(stack.settings.kafka(), [topics.DEAD_LETTERS])[topics.DEAD_LETTERS]
    return [decode(stack.codec, letter.value()) for letter in letters]


def email_to(stack: Stack, address: str) -> Any:
    """Wait for the one email to `address`, and return it."""
    stack.wait_until(lambda: bool(stack.inbox.mails(address)), f"an email to {address}")
    (email,) = stack.inbox.mails(address)
    return email


def test_invalid_records_become_dead_letters_and_valid_ones_are_processed(stack: Stack) -> None:
    """Each invalid record is kept unchanged as a dead letter with its reason, the valid order after it is confirmed, and no process ends."""
    invalid = invalid_orders(stack)
    for _, value in invalid:
        stack.produce(topics.ORDERS, b"bad", value)
    stack.produce(topics.ORDERS, b"bad", order("bad"))
    email_to(stack, "bad@example.org")
    letters = [letter for letter in dead_letters(stack) if letter.key == b"bad"]
    assert [(letter.reason, letter.value) for letter in letters] == invalid
    assert {(letter.topic, letter.stage) for letter in letters} == {("orders", "flows")}
    assert [letter.offset for letter in letters] == sorted({letter.offset for letter in letters})
    assert all("anna" not in letter.detail and "@" not in letter.detail for letter in letters)
    assert stack.worker.is_alive
    assert stack.mailer.is_alive
    series = stack.worker.series()
    assert series['takk_dead_letters_total{reason="negative_amount",stage="flows"}'] == 1


def test_a_dead_letter_is_listed_and_replayed(stack: Stack) -> None:
    """A valid order whose record time is a month old is a dead letter; `list` prints it, and after `replay` it is confirmed."""
    soon = datetime.now(UTC) + timedelta(hours=1)  # with days of a second, it is too old for an email a moment later
    value = stack.codec.encode("order", order("again", placed_at=soon, occurred_at=soon))
    month_ago_ms = int(time.time() * 1000) - 30 * 86_400_000
    stack.produce(topics.ORDERS, b"again", value, month_ago_ms)
    stack.wait_until(lambda: any(letter.key == b"again" for letter in dead_letters(stack)), "a dead letter")
    (letter,) = [letter for letter in dead_letters(stack) if letter.key == b"again"]
    assert (letter.reason, letter.value) == ("future_time", value)
    assert stack.inbox.mails("again@example.org") == []
    listing = stack.takk("dead-letters", "list", "--reason", "future_time")
    assert any(line.startswith(f"{letter.id}  ") for line in listing.splitlines())
    assert stack.takk("dead-letters", "list", "--since", "2099-01-01") == "0 dead letters.\n"
    counts = stack.takk("dead-letters", "list", "--since", "1h", "--count", "--reason", "future_time").splitlines()
    # The other tests may leave letters for the same reason, on the same partition too.
    assert any(line.startswith(f"orders/{letter.partition}  flows  future_time  ") for line in counts)
    assert f"rejected  record {letter.id}: stage flows could not process it (future_time" in stack.takk("why", "again")
    assert stack.takk("dead-letters", "replay", letter.id) == "1 record replayed.\n"
    email_to(stack, "again@example.org")


def test_a_replayed_record_that_is_still_invalid_becomes_a_dead_letter_again(stack: Stack) -> None:
    """A replayed record that is still invalid is stored on dead-letters a second time, byte for byte."""
    value = stack.codec.encode("order", order("worse", total_minor=-5))
    stack.produce(topics.ORDERS, b"worse", value)

    def letters() -> list[DeadLetter]:
        return [letter for letter in dead_letters(stack) if letter.key == b"worse"]

    stack.wait_until(lambda: len(letters()) == 1, "a dead letter")
    stack.takk("dead-letters", "replay", letters()[0].id)
    stack.wait_until(lambda: len(letters()) == 2, "the dead letter of the replayed record")
    assert [(letter.reason, letter.value) for letter in letters()] == [("negative_amount", value)] * 2


def test_a_record_that_was_compressed_well_is_cut(stack: Stack) -> None:
    """9 MB of zeros in a few kB become a dead letter with the first bytes, the size and the SHA-256, and `replay` says why it cannot."""
    zeros = bytes(9_000_000)
    produce_zstd(stack.settings.kafka(), [(topics.ORDERS, b"zeros", zeros, [("h", b"1")])])
    stack.produce(topics.ORDERS, b"after-zeros", order("after-zeros"))
    email_to(stack, "after-zeros@example.org")
    stack.wait_until(lambda: any(letter.key == b"zeros" for letter in dead_letters(stack)), "a dead letter")
    (letter,) = [letter for letter in dead_letters(stack) if letter.key == b"zeros"]
    assert (letter.reason, letter.value, letter.value_bytes) == ("unknown_schema", bytes(65_536), len(zeros))
    assert letter.value_sha256 == hashlib.sha256(zeros).hexdigest()
    assert letter.headers == (("h", b"1"),)
    replay = [sys.executable, "-m", "streams", "dead-letters", "replay", letter.id]
    done = subprocess.run(
        replay, env={**os.environ, **stack.env}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "only 65,536 of 9,000,000 bytes of its value" in done.stderr


def test_a_large_order_without_its_key_is_a_dead_letter(stack: Stack) -> None:
    """A valid order of 1.2 MB that was compressed well cannot be republished under its key: its topic might not accept it."""
    lines = [records.line(sku=f"{n:0200}", title="t" * 500, category="c" * 500) for n in range(1000)]
    value = stack.codec.encode("order", order("large", lines=lines))
    assert len(value) > 1_200_000
    produce_zstd(stack.settings.kafka(), [(topics.ORDERS, b"large-wrong", value, [])])
    stack.wait_until(lambda: any(letter.key == b"large-wrong" for letter in dead_letters(stack)), "a dead letter")
    (letter,) = [letter for letter in dead_letters(stack) if letter.key == b"large-wrong"]
    assert (letter.reason, letter.value_bytes) == ("too_large", len(value))


@pytest.mark.parametrize("key", [b"raw-headers-1", None])
def test_a_header_that_is_not_text(stack: Stack, key: bytes | None) -> None:
    """The order is confirmed, also when it has to be republished: librdkafka cannot read its headers."""
    customer = f"raw-headers-{1 if key else 0}"
    value = stack.codec.encode("order", order(customer))
    partition = partition_of(customer.encode(), stack.settings.partitions) if key else 0
    raw_headers.produce(stack.settings.kafka_bootstrap_servers, topics.ORDERS, partition, key, value)
    email_to(stack, f"{customer}@example.org")


def test_a_record_with_unreadable_headers_becomes_a_dead_letter(stack: Stack) -> None:
    """The letter has the value, and says that the headers are missing."""
    raw_headers.produce(stack.settings.kafka_bootstrap_servers, topics.ORDERS, 0, b"raw-invalid", b"invalid")
    stack.wait_until(lambda: any(letter.key == b"raw-invalid" for letter in dead_letters(stack)), "a dead letter")
    (letter,) = [letter for letter in dead_letters(stack) if letter.key == b"raw-invalid"]
    assert (letter.value, letter.headers, letter.has_all_headers) == (b"invalid", (), False)


def test_html_in_a_name_is_text(stack: Stack) -> None:
    """Markup in a name, a title or a category is escaped in the HTML part and unchanged in the text part."""
    lines = [records.line(title='<script>alert("title")</script>', category="<i>")]
    stack.produce(topics.ORDERS, b"html", order("html", name=HTML, lines=lines))
    email = email_to(stack, "html@example.org")
    assert "<img src=x" not in email.html
    assert email.html.count("<script") == email.html.count('<script type="application/ld+json">') == 1
    assert email.html.count("</script") == 1
    assert "&lt;script&gt;" in email.html
    assert '<script>alert("title")</script>' in email.text


def test_a_line_break_in_a_name_adds_no_header(stack: Stack) -> None:
    """CR LF in a name or a title never starts a new header."""
    name = "Anna\r\nBcc: everyone@example.org\r\nX-Evil: yes"
    stack.produce(topics.ORDERS, b"crlf", order("crlf", name=name, lines=[records.line(title="Cup\r\nX-Evil: 1")]))
    email = email_to(stack, "crlf@example.org")
    assert not {"bcc", "x-evil"} & set(email.headers)
    assert email.to == ("crlf@example.org",)
    assert stack.inbox.mails("everyone@example.org") == []


def test_a_record_with_a_wrong_key_is_republished(stack: Stack) -> None:
    """A record whose key is not its customer is published again with the right key, counted, and confirmed once."""
    before = stack.worker.metrics()["takk_republished_records_total"]
    for wrong in (b"somebody-else", None):
        customer = f"lost-{wrong is None}"
        stack.produce(topics.ORDERS, wrong, order(customer))
        email_to(stack, f"{customer}@example.org")
    stack.wait_until(lambda: stack.worker.metrics()["takk_republished_records_total"] == before + 2, "both are counted")
    assert not [letter for letter in dead_letters(stack) if letter.key in (b"somebody-else", None)]


def test_a_very_long_order_is_confirmed(stack: Stack) -> None:
    """A command with a thousand long lines exceeds Kafka's default limit for a record; its email is sent all the same."""
    lines = [records.line(sku=f"s{n}", title="Kande " * 80, category="k" * 400) for n in range(1000)]
    stack.produce(topics.ORDERS, b"long", order("long", lines=lines))
    email = email_to(stack, "long@example.org")
    assert email.html.count("Kande Kande") >= 1000


def test_invalid_records_on_every_topic_become_dead_letters(stack: Stack) -> None:
    """An invalid record on any input topic becomes a dead letter of the stage that read it."""
    inputs = [
        topics.SHIPMENTS,
        topics.ENGAGEMENT,
        topics.CUSTOMERS,
        topics.EVENTS,
        topics.DUE,
        topics.DELAYS,
        topics.COMMANDS,
    ]
    for topic in inputs:
        stack.produce(topic, b"rubbish", b"rubbish")
    stages = {topics.DELAYS: "scheduler", topics.COMMANDS: "mailer"}
    expected = {(topic, stages.get(topic, "flows")) for topic in inputs}
    stack.wait_until(
        lambda: (
            {(letter.topic, letter.stage) for letter in dead_letters(stack) if letter.key == b"rubbish"} == expected
        ),
        str(expected),
    )


def test_a_huge_dead_letter_can_be_listed_as_json(stack: Stack) -> None:
    """`dead-letters list --json` prints one JSON object per line for any bytes."""
    listing = stack.takk("dead-letters", "list", "--json")
    assert all(isinstance(json.loads(line), dict) for line in listing.splitlines() if line)


def any_input() -> list[Record]:
    """Return some hundred records of any kind on all topics that Takk reads; the same ones each time."""
    drawn: list[Record] = []

    @settings(
        max_examples=examples(60),
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(batches(READ))
    def collect(batch: list[Record]) -> None:
        drawn.extend(batch)

    collect()
    return drawn


def produce_any(stack: Stack, drawn: list[Record]) -> dict[tuple[str, int, int], Record]:
    """Produce the records, compressed or not, and return those that the broker has accepted by their positions."""
    accepted: dict[tuple[str, int, int], Record] = {}

    def note(record: Record, error: Any, message: Any) -> None:
        if error is None:
            accepted[message.topic(), message.partition(), message.offset()] = record

    producers = [
        Producer(
            {
                **stack.settings.kafka(),
                "compression.type": kind,
                "message.max.bytes": 64 << 20,
                "linger.ms": 0,
                "partitioner": "murmur2_random",
            }
        )
        for kind in ("none", "lz4", "zstd")
    ]
    for number, record in enumerate(drawn):
        producer = producers[number % len(producers)]
        with suppress(SystemError):  # a header that is not text: see above
            producer.produce(
                record.topic(), record.value(), record.key(), headers=record.headers(), on_delivery=partial(note, record),
                timestamp=record.written_ms if 0 < record.written_ms < LATEST_MS else 0,
            )  # fmt: skip
        assert producer.flush(60) == 0
    return accepted


def test_any_record_has_one_outcome(stack: Stack) -> None:
    """Records of any kind: no process ends, and each record is processed, republished or a dead letter."""
    pids = [process.pid for process in stack.processes]
    accepted = produce_any(stack, any_input())
    assert len(accepted) > 30
    stack.wait_until_idle(quiet_s=2.0)
    assert [process.pid for process in stack.processes] == pids
    letters = Counter((each.topic, each.partition, each.offset) for each in dead_letters(stack))
    assert {position: times for position, times in letters.items() if times > 1} == {}
    assert [each for each in dead_letters(stack) if each.reason in ("failed", "crashed")] == []
    topics_read = {position[0] for position in accepted}
    written = read_all(stack.settings.kafka(), topics_read)
    again = Counter((topic, record.key(), record.value()) for topic in topics_read for record in written[topic])
    for position, record in accepted.items():
        if position in letters:
            continue
        event = decoded(record)  # raises if the record should be a dead letter
        if record.topic() in STAGES["flows"] and (owner := event.customer_id.encode()) != record.key():
            assert again[record.topic(), owner, record.value()] > 0, record
