"""The oracle of emails that must not arrive: to suppressed addresses, about imported orders, and about test orders.

The other checks repeat the decisions of the flows agent. These look at what arrived, and do not use the code that decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from streams.core.sending.address_limits import SUPPRESSED
from streams.core.values.addresses import address_hash
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.tools.local.verdict import Verdict
from streams.wire import topics

#: Milliseconds after which every mailer must have read a suppression, on a busy machine: a commit, a poll, and the emails that are under way.
SUPPRESSED_AFTER_MS = 15_000

#: The suppressed purposes of an address, with the time since when (ms since 1970), the oldest first.
_Timeline: TypeAlias = list[tuple[int, frozenset[str]]]


def check_suppressed_emails(
    records: Mapping[str, list[Any]], codec: Codec, key: bytes, inbox: Counter[str], verdict: Verdict
) -> None:
    """Check that no email arrived at an address that was suppressed before it was decided, and that each suppressed email had a suppression.

    Args:
        records: the records of every topic.
        codec: decodes them.
        key: the key of the hashes of addresses.
        inbox: how often each send id arrived.
        verdict: receives the problems.
    """
    timelines: defaultdict[str, _Timeline] = defaultdict(list)
    for record in records.get(topics.SUPPRESSIONS, ()):
        suppression = codec.decode("suppression", record.value())
        purposes = frozenset(each["purpose"] for each in suppression["suppressed"])
        timelines[suppression["address"]].append((record.timestamp()[1], purposes))
    sent_at = _times_of_sending(records, codec)
    held_back = {
        decision["send_id"]
        for record in records[topics.DECISIONS]
        if (decision := codec.decode("flow_decision", record.value()))["rule"] == SUPPRESSED
    }
    arrived: list[str] = []
    unfounded: list[str] = []
    for record in records[topics.COMMANDS]:
        command = codec.decode("email_command", record.value())
        send_id, purpose = command["send_id"], command["purpose"]
        timeline = timelines.get(address_hash(key, command["to_address"]).hex(), [])
        if send_id in held_back and not any(purpose in purposes for _, purposes in timeline):
            unfounded.append(send_id)
        if inbox[send_id] and send_id in sent_at:
            # The worker's clock may be ahead of the mailer's, so the earlier of the two times counts.
            decided_ms = min(_ms(command["commanded_at"]), sent_at[send_id])
            if _was_suppressed(timeline, purpose, decided_ms - SUPPRESSED_AFTER_MS, sent_at[send_id]):
                arrived.append(send_id)
    verdict.add_problem("emails that arrived at a suppressed address", arrived)
    verdict.add_problem("emails that were held back without a suppression", unfounded)


def check_special_orders(
    records: Mapping[str, list[Any]], codec: Codec, test_recipients: Collection[str], verdict: Verdict
) -> None:
    """Check that no email is about an order of which there is only an import, and that emails about tests go to test recipients only.

    Args:
        records: the records of every topic.
        codec: decodes them.
        test_recipients: the addresses that get the emails of test orders, in lower case.
        verdict: receives the problems.
    """
    imported: set[str] = set()
    tests: set[str] = set()
    others: set[str] = set()
    for record in records[topics.ORDERS]:
        order = _decoded(codec, "order", record)
        if order is not None:
            (imported if order["is_imported"] else others).add(order["order_id"])
            if order["is_test"]:
                tests.add(order["order_id"])
    if not imported and not tests:
        return
    for record in records[topics.SHIPMENTS]:
        shipment = _decoded(codec, "shipment", record)
        if shipment is not None and not shipment["is_imported"]:
            others.add(shipment["order_id"])
    mailed: list[str] = []
    strangers: list[str] = []
    for record in records[topics.COMMANDS]:
        command = codec.decode("email_command", record.value())
        order_id = command["order_id"]
        if order_id in imported - others:
            mailed.append(command["send_id"])
        if order_id in tests and command["to_address"].lower() not in test_recipients:
            strangers.append(command["send_id"])
    verdict.add_problem("emails about imported orders", mailed)
    verdict.add_problem("emails about test orders to others", strangers)


def _was_suppressed(timeline: _Timeline, purpose: str, since_ms: int, until_ms: int) -> bool:
    """Return whether an address got no email of `purpose` at any time from `since_ms` to `until_ms`."""
    first = bisect_right(timeline, since_ms, key=lambda entry: entry[0])
    last = bisect_right(timeline, until_ms, key=lambda entry: entry[0])
    return first > 0 and all(purpose in purposes for _, purposes in timeline[first - 1 : last])


def _times_of_sending(records: Mapping[str, list[Any]], codec: Codec) -> dict[str, int]:
    """Return when each email was sent, in ms since 1970, by send id."""
    events = [codec.decode("email_event", record.value()) for record in records[topics.EVENTS]]
    return {event["send_id"]: _ms(event["occurred_at"]) for event in events if event["outcome"] == "sent"}


def _decoded(codec: Codec, schema: str, record: Any) -> dict[str, Any] | None:
    """Return the record, or None if it is invalid, and so a dead letter."""
    try:
        return codec.decode(schema, record.value())
    except DecodeFailed:
        return None


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
