"""Choosing a customer's records before they are decoded: the newest ones, and those of one send."""

from __future__ import annotations

from typing import Any

from streams.core.model.events import OrderPlaced
from streams.tools.operations.customer_records import Newest, Raw, decode, of_send
from streams.tools.operations.customer_story import build_timeline
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from tests.harness.codec import CODEC
from tests.harness.driver import Driver
from tests.harness.events import order, shop_ruleset
from tests.harness.flow_texts import DAY


def written() -> tuple[Driver, list[Raw]]:
    """A customer with three orders, and the decisions about them."""
    run = Driver(shop_ruleset())
    for number in range(3):
        run.handle(OrderPlaced(order(f"o{number}", run.now), run.now))
        run.advance(2 * DAY)
    outputs = [Encoder(CODEC).effects.encode(effect, run.now) for effect in run.effects]
    return run, [(topic, value or b"") for topic, _, value, _ in outputs if topic == topics.DECISIONS]


def test_records_of_a_send() -> None:
    """The timeline of a send is the same from the selected records as from all, and the others are not decoded."""
    run, raw = written()
    send_id = run.mails()[-1].send_id
    selected = of_send(CODEC, raw, send_id)
    assert 0 < len(selected) < len(raw)

    def timeline(records: list[Raw]) -> Any:
        decoded = [(topic, decode(CODEC, topic, value)) for topic, value in records]
        return build_timeline("c1", decoded, run.customers["c1"], send_id)

    assert timeline(selected) == timeline(raw)
    assert timeline(selected).entries
    assert of_send(CODEC, raw, "0" * 32) == []


def test_the_newest_records() -> None:
    """Each topic keeps its newest records in their order, and the others are counted."""
    newest = Newest(2)
    for number in range(5):
        newest.add("a", b"%d" % number)
    newest.add("b", b"0")
    assert list(newest) == [("a", b"3"), ("a", b"4"), ("b", b"0")]
    assert newest.dropped == 3
    unlimited = Newest(None)
    for number in range(5):
        unlimited.add("a", b"%d" % number)
    assert (len([*unlimited]), unlimited.dropped) == (5, 0)
