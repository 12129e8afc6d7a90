"""Merges on records: through the handler of the flows agent, over two partitions, and judged by the oracle."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from streams.agents.flows import INPUTS, make_handler
from streams.core.model.customer import Customer
from streams.core.values.local_time import utc_from_ms
from streams.runtime.errors import Misrouted
from streams.runtime.kafka.partitioner import partition_of
from streams.tools.local.oracle import Verdict, judge
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.journal import Slice
from streams.wire.validation import ValidationFailed
from tests.harness import records
from tests.harness.events import shop_ruleset
from tests.harness.kafka_fakes import Record

PARTITIONS = 2
CODEC = open_codec()
DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def named(prefix: str, partition: int) -> str:
    """Return a customer id on a partition."""
    names = (f"{prefix}-{number}" for number in range(100))
    return next(name for name in names if partition_of(name.encode(), PARTITIONS) == partition)


ANNA = named("anna", 0)
GUESTS = {"the same partition": named("guest", 0), "another partition": named("guest", 1)}


class Part:
    """The state of one partition of the flows agent."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.now_ms = records.AT_MS
        self.states: dict[bytes, Any] = {}
        self.read: Counter[str] = Counter()

    def get(self, key: bytes) -> Any:
        """The customer's state, or None."""
        return self.states.get(key)


class Cluster:
    """All topics, the flows agent on two partitions with a journal, and a scheduler."""

    def __init__(self) -> None:
        self.now_ms = records.AT_MS
        self.records: dict[str, list[Any]] = {name: [] for name in topics.SCHEMA_OF}
        self.ruleset = shop_ruleset()
        self.parts = [Part(number) for number in range(PARTITIONS)]
        self._handle = make_handler(DECODER, ENCODER, self.ruleset, PARTITIONS)
        self._headers: dict[tuple[str, int, int], Any] = {}

    def put(self, topic: str, key: str, value: bytes | None, headers: Any = None) -> None:
        """Append a record to a topic."""
        partition = partition_of(key.encode(), PARTITIONS)
        offset = sum(record.partition() == partition for record in self.records[topic])
        self.records[topic].append(Record(offset, key.encode(), value, topic, self.now_ms, headers, partition))

    def produce(self, topic: str, values: dict[str, Any]) -> None:
        """Write a record of a shop, and process everything that follows."""
        self.put(topic, values["customer_id"], CODEC.encode(topics.SCHEMA_OF[topic], values))
        self.run()

    def run(self) -> None:
        """Process records, each in a batch of its own, until none is left."""
        while waiting := [
            (part, record)
            for part in self.parts
            for topic in INPUTS
            for record in self.records[topic]
            if record.partition() == part.partition and record.offset() == part.read[topic]
        ]:
            self._process(*waiting[0])

    def _process(self, part: Part, record: Any) -> None:
        part.read[record.topic()] += 1
        part.now_ms = self.now_ms
        try:
            key, after, outputs = self._handle(record, part)
        except Misrouted as error:
            raise AssertionError("a record moved from key to key") from error
        if key is not None and after is None:
            part.states.pop(key, None)
        elif key is not None:
            part.states[key] = after
        for topic, out_key, value, headers in outputs:
            self.put(topic, out_key.decode(), value, headers)
        place = [Slice(record.topic(), record.offset(), record.offset())]
        entry = ENCODER.journal.checkpoint("flows", part.partition, utc_from_ms(self.now_ms), place, 1)
        self.records[topics.CHECKPOINTS].append(Record(0, b"", entry.value, topics.CHECKPOINTS, self.now_ms))

    def advance(self, length_ms: int) -> None:
        """Move the clock, and fire the timers that are due."""
        until = self.now_ms + length_ms
        fired = {timer_due(record.value()) for record in self.records[topics.DUE]}
        while due := sorted(
            (timer_due(record.value())[1], record.key(), record.value())
            for record in self.records[topics.DELAYS]
            if record.value() is not None
            and timer_due(record.value()) not in fired
            and timer_due(record.value())[1] <= until
        ):
            at, key, value = due[0]
            fired.add(timer_due(value))
            self.now_ms = max(self.now_ms, at)
            self.put(topics.DUE, key.decode(), value)
            self.run()
        self.now_ms = until

    def state(self, customer_id: str) -> Customer | None:
        """The state of a customer."""
        key = customer_id.encode()
        state: Customer | None = self.parts[partition_of(key, PARTITIONS)].states.get(key)
        return state

    def decoded(self, topic: str) -> list[dict[str, Any]]:
        """The records of a topic."""
        return [CODEC.decode(topics.SCHEMA_OF[topic], record.value()) for record in self.records[topic]]

    def messages(self) -> list[str]:
        """The messages of all commands."""
        return [command["message"] for command in self.decoded(topics.COMMANDS)]

    def verdict(self) -> Verdict:
        """The verdict of the oracle. Each command has arrived once."""
        inbox = Counter(command["send_id"] for command in self.decoded(topics.COMMANDS))
        return judge(self.records, self.ruleset, CODEC, inbox, PARTITIONS, self.now_ms)

    def order(self, customer_id: str, order_id: str = "o1", **changes: Any) -> None:
        """Place an order now."""
        now = utc_from_ms(self.now_ms)
        values = {"customer_id": customer_id, "order_id": order_id, "placed_at": now, "occurred_at": now, **changes}
        self.produce(topics.ORDERS, records.order(**values))

    def parcel(self, customer_id: str, status: str, order_id: str = "o1") -> None:
        """Report a parcel now."""
        now = utc_from_ms(self.now_ms)
        values = {"customer_id": customer_id, "status": status, "order_id": order_id, "occurred_at": now}
        self.produce(topics.SHIPMENTS, records.shipment(**values, window_from=None, window_to=None))

    def merge(self, customer_id: str, into: str, **changes: Any) -> None:
        """Merge a customer now."""
        values = {"customer_id": customer_id, "merged_into": into, "occurred_at": utc_from_ms(self.now_ms), **changes}
        self.produce(topics.CUSTOMERS, records.profile(**values))


@pytest.fixture(params=sorted(GUESTS))
def guest(request: pytest.FixtureRequest) -> str:
    """A guest's customer id, on the customer's partition or on another one."""
    return GUESTS[request.param]


@pytest.fixture
def cluster(guest: str) -> Cluster:
    """A cluster with a guest's order, an hour before the guest is merged into Anna."""
    cluster = Cluster()
    cluster.order(guest)
    cluster.advance(HOUR_MS)
    cluster.merge(guest, ANNA)
    return cluster


def test_all_records_of_a_guest_reach_the_customer(cluster: Cluster, guest: str) -> None:
    """Parcels, opens and timers under the guest's id continue the guest's flows, once, and the oracle finds the same outputs."""
    (confirmation,) = cluster.decoded(topics.COMMANDS)
    opened = records.engagement("opened", customer_id=guest, send_id=confirmation["send_id"], agent="human")
    cluster.produce(topics.ENGAGEMENT, opened | {"occurred_at": utc_from_ms(cluster.now_ms)})
    cluster.parcel(guest, "shipped")
    cluster.parcel(ANNA, "delivered")
    cluster.advance(10 * DAY_MS)
    assert sorted(cluster.messages()) == ["ask-first-time", "confirmation", "first-time", "shipped"]
    anna, alias = cluster.state(ANNA), cluster.state(guest)
    assert anna is not None
    assert alias is not None
    assert (anna.purchases, alias.orders, alias.merge and alias.merge.into) == (1, (), ANNA)
    assert [sent.opened_at is not None for sent in anna.sends if sent.send_id == confirmation["send_id"]] == [True]
    verdict = cluster.verdict()
    assert (verdict.problems, verdict.lost, verdict.duplicates) == ([], [], [])
    assert set(verdict.states) == {ANNA.encode(), guest.encode()}


def test_a_parcel_that_arrives_before_the_hand_over_is_announced(guest: str) -> None:
    """The shop already writes parcels under the customer's id while the merge is on its way: their emails follow the hand-over."""
    cluster = Cluster()
    cluster.order(guest)
    cluster.parcel(ANNA, "shipped")
    assert cluster.messages() == ["confirmation"]
    cluster.merge(guest, ANNA)
    assert cluster.messages() == ["confirmation", "shipped"]
    assert cluster.verdict().problems == []


def test_a_retry_keeps_its_send_id_and_its_partition(cluster: Cluster, guest: str) -> None:
    """The mailer tries an email of the guest again where its send ledger knows it."""
    (first,) = cluster.records[topics.COMMANDS]
    command = DECODER.command(first.value(), [])
    now = utc_from_ms(cluster.now_ms)
    timer = ENCODER.reports.retry_timer(command, now + timedelta(minutes=1), now)
    cluster.put(topics.DELAYS, guest, timer.value)
    cluster.advance(HOUR_MS)
    again = cluster.records[topics.COMMANDS][-1]
    retry = DECODER.command(again.value(), [])
    assert (again.key(), retry.send_id, retry.attempt) == (first.key(), command.send_id, 2)


def test_the_report_of_an_email_to_the_guest_is_stored_with_the_customer(cluster: Cluster, guest: str) -> None:
    """The outcome of an email that was on its way is that of the customer's send."""
    (command,) = cluster.decoded(topics.COMMANDS)
    cluster.produce(topics.EVENTS, records.email_event(customer_id=guest, send_id=command["send_id"]))
    anna = cluster.state(ANNA)
    assert anna is not None
    assert [sent.outcome for sent in anna.sends] == ["sent"]


def test_a_forwarded_record_keeps_its_bytes_and_its_time(cluster: Cluster, guest: str) -> None:
    """The record within has the shop's bytes, the timestamp of its first record, and the ids that it passed through."""
    at = cluster.now_ms
    cluster.parcel(guest, "shipped")
    forwarded = cluster.decoded(topics.HANDOVERS)[-1]
    shipment = cluster.records[topics.SHIPMENTS][-1]
    assert forwarded["kind"] == "record"
    assert (forwarded["topic"], forwarded["value"]) == (topics.SHIPMENTS, shipment.value())
    assert (forwarded["occurred_at"], forwarded["path"]) == (utc_from_ms(at), [guest])
    command = cluster.records[topics.COMMANDS][-1]
    assert dict(command.headers() or [])[topics.DUE_AT_HEADER] == b"%d" % at


def test_erasing_the_customer_erases_what_came_from_the_guest(cluster: Cluster, guest: str) -> None:
    """The alias ends, and nothing is stored under either id."""
    cluster.put(topics.CUSTOMERS, ANNA, None)
    cluster.run()
    assert (cluster.state(ANNA), cluster.state(guest)) == (None, None)
    assert cluster.verdict().problems == []


def test_a_refusal_stays_under_both_ids_after_an_erasure(cluster: Cluster, guest: str) -> None:
    """The refusals of the person protect the guest's id too, although the alias has ended."""
    unsubscribed = {"customer_id": guest, "scope": "marketing", "occurred_at": utc_from_ms(cluster.now_ms)}
    cluster.produce(topics.ENGAGEMENT, records.engagement("unsubscribed", **unsubscribed))
    cluster.put(topics.CUSTOMERS, ANNA, None)
    cluster.run()
    for customer_id in (ANNA, guest):
        state = cluster.state(customer_id)
        assert state is not None
        assert (state.consent.unsubscribed, state.merge, state.orders) == (("marketing",), None, ())


def test_erasing_an_alias_erases_nothing_of_the_customer(cluster: Cluster, guest: str) -> None:
    """Shops delete the customers that they have merged: the customer stays, and a decision says where the data is."""
    before = cluster.state(ANNA)
    cluster.put(topics.CUSTOMERS, guest, None)
    cluster.run()
    assert cluster.state(ANNA) == before
    (decision,) = [each for each in cluster.decoded(topics.DECISIONS) if each["rule"] == "erased"]
    assert (decision["customer_id"], ANNA in decision["detail"]) == (guest, True)
    cluster.parcel(guest, "shipped")
    assert cluster.messages()[-1] == "shipped"


def test_the_decisions_name_the_other_customer(cluster: Cluster, guest: str) -> None:
    """Each of the two customers has a decision with the rule `merged`."""
    merged = {
        each["customer_id"]: each["detail"] for each in cluster.decoded(topics.DECISIONS) if each["rule"] == "merged"
    }
    assert merged.keys() == {ANNA, guest}
    assert ANNA in merged[guest]
    assert guest in merged[ANNA]


def test_the_other_values_of_a_merge_count(guest: str) -> None:
    """A record that merges a customer, and refuses marketing, does both."""
    cluster = Cluster()
    cluster.order(guest)
    cluster.merge(guest, ANNA, marketing_consent=False)
    anna = cluster.state(ANNA)
    assert anna is not None
    assert anna.consent.marketing is False
    assert anna.profile.email == "anna@example.org"


def test_a_merge_into_itself_is_a_dead_letter(guest: str) -> None:
    """The record is invalid, unless it refuses emails: then the refusal counts."""
    cluster = Cluster()
    with pytest.raises(ValidationFailed, match="bad_merge"):
        cluster.merge(guest, guest)
    cluster = Cluster()
    cluster.merge(guest, guest, marketing_consent=False)
    state = cluster.state(guest)
    assert state is not None
    assert (state.consent.marketing, state.merge) == (False, None)
