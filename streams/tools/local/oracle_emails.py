"""The oracle of emails: those that must arrive, and those that must not: to suppressed addresses, about imported and about test orders.

The other checks repeat the decisions of the flows agent. These look at what arrived, and do not use the code that decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from streams.core.model.person_events import ERASED
from streams.core.sending.address_limits import SUPPRESSED
from streams.core.values.addresses import address_hash
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.tools.local.verdict import Verdict
from streams.wire import topics
from streams.wire.decode.timers import timer_due

#: Outcomes after which an email need not arrive; the event has the reason. A decision to skip has the same effect.
ENDED = ("refused", "expired", "suppressed", "unknown")

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


def check_arrivals(records: Mapping[str, list[Any]], codec: Codec, inbox: Counter[str], verdict: Verdict) -> None:
    """Find the emails that are lost, that arrived twice, and those whose outcome is unknown.

    Args:
        records: the records of every topic.
        codec: decodes them.
        inbox: how often each send id arrived.
        verdict: has the send ids of the commands, and receives the result.
    """
    ended: set[str] = set()
    for record in records[topics.EVENTS]:
        event = codec.decode("email_event", record.value())
        if event["outcome"] in ENDED:
            ended.add(event["send_id"])
        if event["outcome"] == "unknown":
            verdict.unknown.append(event["send_id"])
    for record in records[topics.DECISIONS]:  # deferred by the mail server, and then too late
        decision = codec.decode("flow_decision", record.value())
        if decision["outcome"] == "skip" and decision["send_id"] is not None:
            ended.add(decision["send_id"])
            if is_from_mailer(decision):
                verdict.skipped[decision["rule"]] += 1
    for record in records[topics.WITHDRAWALS]:
        withdrawal = codec.decode("withdrawal", record.value())
        if withdrawal["rule"] == ERASED:  # its retry was cancelled with it, so the mailer may never report it
            ended.add(withdrawal["send_id"])
    verdict.lost = sorted(send for send in verdict.sends if not inbox[send] and send not in ended)
    verdict.duplicates = sorted(send for send, times in inbox.items() if times > 1 or send not in verdict.sends)


def leave_out_waiting(records: Mapping[str, list[Any]], codec: Codec, until_ms: int, verdict: Verdict) -> None:
    """Move the emails that still wait for a retry from the lost ones to those that wait.

    Args:
        records: the records of every topic.
        codec: decodes them.
        until_ms: only retries that are due, or fired, at this time or later may wait (ms since 1970).
        verdict: has the lost emails.
    """
    if not verdict.lost:
        return
    fired_at = {timer_due(record.value()): record.timestamp()[1] for record in records[topics.DUE]}
    attempts: defaultdict[str, int] = defaultdict(int)
    for record in records[topics.COMMANDS]:
        command = codec.decode("email_command", record.value())
        attempts[command["send_id"]] = max(attempts[command["send_id"]], command["attempt"])
    waiting: set[str] = set()
    for record in records[topics.DELAYS]:
        if record.value() is None:
            continue
        due = timer_due(record.value())
        if fired_at.get(due, due[1]) >= until_ms:
            timer = codec.decode("timer", record.value())
            if timer["kind"] == "retry" and attempts[timer["send_id"]] < timer["attempt"]:
                waiting.add(timer["send_id"])
    verdict.waiting = [send for send in verdict.lost if send in waiting]
    verdict.lost = [send for send in verdict.lost if send not in waiting]


def is_from_mailer(decision: Mapping[str, Any]) -> bool:
    """Return whether the mailer wrote a decision."""
    return bool(decision["send_id"]) and str(decision["decision_id"]).startswith(f"{decision['send_id']}.")
