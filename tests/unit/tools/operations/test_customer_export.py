"""The export of a customer: all records of the customer, no record of others, and values that JSON has."""

from __future__ import annotations

import json
from typing import Any

from streams.core.model.customer_codec import encode_customer
from streams.core.model.events import OrderPlaced
from streams.mail.delivery.ledger import Entry, encode_entry
from streams.runtime.processing.timers import pack, timer_key
from streams.tools.operations.customer_export import is_empty, plain, records_of, sends_of, timers_of
from streams.wire import topics
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.driver import Driver
from tests.harness.events import order, shop_ruleset
from tests.harness.kafka_fakes import Record
from tests.harness.records import AT, AT_MS

KEY = records.KEY
CUSTOMER = KEY.decode()


def message(topic: str, record: dict[str, Any] | bytes | None, key: bytes = KEY) -> Record:
    """Return a record of a topic."""
    value = CODEC.encode(topics.SCHEMA_OF[topic], record) if isinstance(record, dict) else record
    return Record(0, key, value, topic, AT_MS)


def claim(customer_id: str) -> dict[str, Any]:
    """Return a claim of a customer."""
    return {
        "pool": "spring", "reward_id": "r", "customer_id": customer_id, "flow": "f", "flow_version": 1, "instance_id": "i", "step": "0",
        "order_id": None, "claimed_at": AT, "give_up_at": AT,
    }  # fmt: skip


def test_records_by_topic() -> None:
    """Records under the customer's id are found, and claims under a pool that name the customer. Deleted and damaged ones show as such."""
    own = [
        message(topics.ORDERS, records.order()),
        message(topics.ORDERS, records.order(customer_id="other"), b"other"),
        message(topics.ORDERS, b"not Avro"),
        message(topics.CUSTOMERS, None),
        message(topics.DUE, records.retry(command=b"\x00")),
    ]
    others = [
        message(topics.CLAIMS, claim(CUSTOMER), b"spring"),
        message(topics.CLAIMS, claim(CUSTOMER + "0"), b"spring"),
    ]
    found = records_of(CODEC, CUSTOMER, own, others)
    assert {topic: len(each) for topic, each in found.items()} == {
        topics.ORDERS: 2, topics.CUSTOMERS: 1, topics.DUE: 1, topics.CLAIMS: 1
    }  # fmt: skip
    assert found[topics.ORDERS][0]["order_id"] == records.order()["order_id"]
    assert found[topics.ORDERS][1] == {"_written_ms": AT_MS, "_undecodable": "not_avro", "_bytes": "not Avro"}
    assert found[topics.CUSTOMERS] == [{"_written_ms": AT_MS, "_deleted": True}]
    assert found[topics.DUE][0]["command"]["_undecodable"]
    assert json.loads(json.dumps(found)) == found


def test_stored_timers() -> None:
    """The timers of the customer that are still stored are found, the soonest first."""

    def stored(due_ms: int, name: str, key: bytes = KEY) -> tuple[bytes, bytes]:
        return timer_key(due_ms, name.encode()), pack(key, CODEC.encode("timer", records.timer(timer_id=name)))

    rows = [stored(3, "c"), stored(2, "b"), stored(1, "a", b"other"), stored(4, "fired"), (b"\xff" * 8 + KEY, b"\x92")]
    changelog = [Record(0, key, value) for key, value in rows] + [Record(0, rows[3][0], None), Record(0, b"", None)]
    assert [timer["timer_id"] for timer in timers_of(CODEC, KEY, changelog)] == ["b", "c"]


def test_entries_of_the_ledger() -> None:
    """The newest entry of each of the customer's sends is found."""
    sent = encode_entry(Entry("sent", 1, AT, "q1"))
    changelog = [
        Record(0, b"s1", encode_entry(Entry("in_flight", 1, AT))),
        Record(0, b"s1", sent),
        Record(0, b"s2", sent),
        Record(0, b"s2", None),
        Record(0, b"s3", sent),
    ]
    found = sends_of({"s1", "s2"}, changelog)
    assert found.keys() == {"s1"}
    assert (found["s1"]["state"], found["s1"]["queue_id"], found["s1"]["at"]) == ("sent", "q1", AT.isoformat())


def test_the_state_has_names() -> None:
    """The state is an object with the names of its fields, not the array that is stored."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    state = plain(run.customers["c1"])
    assert state["profile"]["email"] == "anna@example.com"
    assert state["orders"][0]["facts"]["lines"][0]["title"] == "Tea"
    assert json.loads(json.dumps(state)) == state


def test_an_export_of_nothing() -> None:
    """A customer of whom nothing is known has an empty export."""
    empty: dict[str, Any] = {
        "customer_id": "x",
        "read_at": "",
        "state": None,
        "timers": [],
        "sends": {},
        "records": {},
        "dead_letters": [],
    }
    assert is_empty(empty)
    assert not is_empty({**empty, "timers": [{}]})


def test_hand_overs_are_readable() -> None:
    """The state of a merged customer, and the records that followed it, are shown with their values."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", run.now, customer_id="guest-1"), run.now))
    state = encode_customer(run.customers["guest-1"])
    found = records_of(
        CODEC,
        CUSTOMER,
        [
            message(topics.HANDOVERS, records.handover(kind="state", topic="", value=None, state=state)),
            message(topics.HANDOVERS, records.handover(value=CODEC.encode("order", records.order()))),
            message(topics.HANDOVERS, records.handover(kind="state", topic="", value=None, state=b"\xff")),
        ],
    )
    first, second, damaged = found[topics.HANDOVERS]
    assert first["state"]["profile"]["name"] == "Anna Holm"
    assert second["value"]["order_id"] == "o1"
    assert damaged["state"] == "/w=="
    assert json.loads(json.dumps(found)) == found
