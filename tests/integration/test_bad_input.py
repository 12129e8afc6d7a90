"""Bad input, end to end: a dead letter or a mail that is safe to read, never a crash, and the records behind it go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.tools.local.oracle import read_all
from streams.tools.operations.dead_letters import DeadLetter, decode
from streams.wire import topics
from tests.harness import records
from tests.harness.stack import Stack, open_stack, wait_until

HTML = '<img src=x onerror="alert(1)"><b>Anna</b>'
#: Near Kafka's own limit of a record: its dead letter is larger than the record, and above that limit.
HUGE = b"\xff" * 999_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for this module, where a day lasts long enough for nobody to be thanked yet; every test has customers of its own."""
    with open_stack(tmp_path_factory.mktemp("stack"), day_s=3600.0) as stack:
        yield stack


def order(customer: str, **changes: Any) -> dict[str, Any]:
    """A good order of `customer`, placed now."""
    now = datetime.now(UTC)
    values = {
        "order_id": f"o-{customer}",
        "customer_id": customer,
        "email": f"{customer}@example.org",
        "placed_at": now,
        "occurred_at": now,
    }
    return records.order(**(values | changes))


def bad_orders(stack: Stack) -> list[tuple[str, bytes | None]]:
    """(reason, bytes) of orders that cannot be taken."""

    def encoded(**changes: Any) -> bytes:
        return stack.codec.encode("order", order("bad", **changes))

    good = encoded()
    return [
        ("not_avro", b"not Avro at all"),
        ("not_avro", b""),
        ("not_avro", HUGE),
        ("no_value", None),
        ("unknown_schema", b"\xc3\x01" + b"\x00" * 8 + good[10:]),
        ("truncated", good[:-20]),
        ("not_avro", good + b"more"),
        ("no_customer", encoded(customer_id="")),
        ("negative_amount", encoded(total_minor=-1)),
        ("bad_time", encoded(placed_at=datetime(3000, 1, 1, tzinfo=UTC))),
        ("future_time", encoded(occurred_at=datetime.now(UTC) + timedelta(days=30))),
        ("too_many_lines", encoded(lines=[records.line()] * 10_000)),
        ("bad_address", encoded(email="anna@example.org\r\nBcc: all@example.org")),
        ("bad_currency", encoded(currency="kr")),
        ("bad_id", encoded(order_id="o\n1")),
    ]


def letters(stack: Stack) -> list[DeadLetter]:
    """All dead letters that are there."""
    found = read_all(stack.settings.kafka(), [topics.DEAD_LETTERS])[topics.DEAD_LETTERS]
    return [decode(stack.codec, record.value()) for record in found]


def takk(stack: Stack, *arguments: str) -> str:
    """What the command `takk` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        env={**os.environ, **stack.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def mail_to(stack: Stack, address: str) -> Any:
    """The one mail to `address`, once it is there."""
    wait_until(lambda: bool(stack.inbox.mails(address)), f"a mail to {address}")
    (mail,) = stack.inbox.mails(address)
    return mail


def test_bad_records_are_dead_letters_and_good_ones_go_on(stack: Stack) -> None:
    """Each bad record lies whole on dead-letters under its reason, the good order behind it is mailed, and nobody crashed."""
    bad = bad_orders(stack)
    for _, value in bad:
        stack.produce(topics.ORDERS, b"bad", value)
    stack.produce(topics.ORDERS, b"bad", order("bad"))
    mail_to(stack, "bad@example.org")
    found = [letter for letter in letters(stack) if letter.key == b"bad"]
    assert [(letter.reason, letter.value) for letter in found] == bad
    assert {(letter.topic, letter.stage) for letter in found} == {("orders", "flows")}
    assert [letter.offset for letter in found] == sorted({letter.offset for letter in found})
    assert all("anna" not in letter.detail and "@" not in letter.detail for letter in found)
    assert stack.worker.is_alive
    assert stack.mailer.is_alive
    counted = stack.worker.series()
    assert counted['takk_dead_letters_total{reason="negative_amount",stage="flows"}'] == 1


def test_a_dead_letter_is_listed_replayed_and_mailed(stack: Stack) -> None:
    """A good order written by a clock a month slow is refused; `list` names it, and `replay` brings it back: it is mailed."""
    value = stack.codec.encode("order", order("again"))
    month_ago_ms = int(time.time() * 1000) - 30 * 86_400_000
    stack.produce(topics.ORDERS, b"again", value, month_ago_ms)
    wait_until(lambda: any(letter.key == b"again" for letter in letters(stack)), "a dead letter")
    (letter,) = [letter for letter in letters(stack) if letter.key == b"again"]
    assert (letter.reason, letter.value) == ("future_time", value)
    assert stack.inbox.mails("again@example.org") == []
    shown = takk(stack, "dead-letters", "list", "--reason", "future_time")
    assert any(line.startswith(f"{letter.id}  ") for line in shown.splitlines())
    assert takk(stack, "dead-letters", "replay", letter.id) == "1 record replayed.\n"
    mail_to(stack, "again@example.org")


def test_what_is_still_bad_becomes_a_dead_letter_again(stack: Stack) -> None:
    """A replayed record that is as bad as before lies on dead-letters a second time, byte for byte."""
    value = stack.codec.encode("order", order("worse", total_minor=-5))
    stack.produce(topics.ORDERS, b"worse", value)

    def mine() -> list[DeadLetter]:
        return [letter for letter in letters(stack) if letter.key == b"worse"]

    wait_until(lambda: len(mine()) == 1, "a dead letter")
    takk(stack, "dead-letters", "replay", mine()[0].id)
    wait_until(lambda: len(mine()) == 2, "the replayed record's letter")
    assert [(letter.reason, letter.value) for letter in mine()] == [("negative_amount", value)] * 2


def test_html_in_a_name_is_text(stack: Stack) -> None:
    """Markup in a customer's name, a title and a category reaches the mail escaped, in both parts readable."""
    lines = [records.line(title='<script>alert("title")</script>', category="<i>")]
    stack.produce(topics.ORDERS, b"html", order("html", name=HTML, lines=lines))
    mail = mail_to(stack, "html@example.org")
    assert "<img src=x" not in mail.html
    assert mail.html.count("<script") == mail.html.count('<script type="application/ld+json">') == 1
    assert mail.html.count("</script") == 1
    assert "&lt;script&gt;" in mail.html
    assert '<script>alert("title")</script>' in mail.text


def test_a_line_break_in_a_name_makes_no_header(stack: Stack) -> None:
    """CR LF in a name, a title or an id never becomes a header of its own."""
    name = "Anna\r\nBcc: everyone@example.org\r\nX-Evil: yes"
    stack.produce(topics.ORDERS, b"crlf", order("crlf", name=name, lines=[records.line(title="Cup\r\nX-Evil: 1")]))
    mail = mail_to(stack, "crlf@example.org")
    assert not {"bcc", "x-evil"} & set(mail.headers)
    assert mail.to == ("crlf@example.org",)
    assert stack.inbox.mails("everyone@example.org") == []


def test_a_record_under_a_wrong_key_comes_home(stack: Stack) -> None:
    """A record whose key is not its customer is published again under the right one, counted, and mailed once."""
    for wrong in (b"somebody-else", None):
        customer = f"lost-{wrong is None}"
        stack.produce(topics.ORDERS, wrong, order(customer))
        mail_to(stack, f"{customer}@example.org")
    assert stack.worker.metrics()["takk_republished_records_total"] == 2
    assert not [letter for letter in letters(stack) if letter.key in (b"somebody-else", None)]


def test_a_very_long_order_is_mailed(stack: Stack) -> None:
    """A thousand lines with long titles make a command above Kafka's usual limit of a record; it is mailed all the same."""
    lines = [records.line(sku=f"s{n}", title="Kande " * 80, category="k" * 400) for n in range(1000)]
    stack.produce(topics.ORDERS, b"long", order("long", lines=lines))
    mail = mail_to(stack, "long@example.org")
    assert mail.html.count("Kande Kande") >= 1000


def test_other_topics_are_checked_too(stack: Stack) -> None:
    """Rubbish on every topic that is read is a dead letter of the stage that read it."""
    where = [
        topics.SHIPMENTS,
        topics.ENGAGEMENT,
        topics.CUSTOMERS,
        topics.EVENTS,
        topics.DUE,
        topics.DELAYS,
        topics.COMMANDS,
    ]
    for topic in where:
        stack.produce(topic, b"rubbish", b"rubbish")
    stages = {topics.DELAYS: "scheduler", topics.COMMANDS: "mailer"}
    expected = {(topic, stages.get(topic, "flows")) for topic in where}
    wait_until(
        lambda: {(one.topic, one.stage) for one in letters(stack) if one.key == b"rubbish"} == expected, str(expected)
    )


def test_a_huge_dead_letter_can_be_listed_as_json(stack: Stack) -> None:
    """The machine's form of the list is one JSON object a line, whatever the bytes were."""
    shown = takk(stack, "dead-letters", "list", "--json")
    assert all(isinstance(json.loads(line), dict) for line in shown.splitlines() if line)
