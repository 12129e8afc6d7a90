"""Why a customer did or did not receive an email: one customer's timeline, from the decisions, the email events and the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from streams.core.model.customer import Customer, Merge
from streams.core.model.instance import Instance
from streams.tools.operations.dead_letters import UNDECODABLE, DeadLetter
from streams.tools.operations.rule_texts import ENGAGEMENT, OUTCOMES, decision_text
from streams.wire import topics


class TimelineEntry(Struct, frozen=True, kw_only=True, rename={"text": "words"}):
    """One event of the past, or one instance that waits. It contains no personal data.

    Attributes:
        at: when it happened, or until when the instance waits, UTC.
        what: the outcome in one word, such as `send`, `skip` or `clicked`; `rejected` for a record that became a dead letter; `waiting` if
            it is still to come.
        flow: the name of the flow.
        about: the step or the message.
        text: the explanation.
        send_id: the send it belongs to.
        order_id: the order it belongs to.
    """

    at: datetime
    what: str
    flow: str
    about: str
    text: str
    send_id: str | None
    order_id: str | None


class Timeline(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"entries": "happened"}):
    """A customer's emails, or one send.

    Attributes:
        customer_id: the customer.
        is_known: whether any record or state of the customer (or of the send) was found.
        entries: the past, the oldest first.
        waiting: the instances that wait, the soonest first.
        omitted: the number of older entries that are left out.
        merged_into: the customer that this one was merged into, "" for none. Later records are under that id.
        merged_ids: the customers that were merged into this one. Their earlier records are under those ids.
    """

    customer_id: str
    is_known: bool
    entries: tuple[TimelineEntry, ...]
    waiting: tuple[TimelineEntry, ...]
    omitted: int = 0
    merged_into: str = ""
    merged_ids: tuple[str, ...] = ()


def build_timeline(
    customer_id: str,
    records: Iterable[tuple[str, Mapping[str, Any]]],
    state: Customer | None,
    send_id: str | None = None,
    *,
    letters: Iterable[DeadLetter] = (),
    limit: int | None = None,
) -> Timeline:
    """Return the timeline of a customer.

    Args:
        customer_id: the customer.
        records: (topic, record) of decisions, email events and attributed engagement; of any customers, in any order.
        state: the customer's state in the flows agent; None if it does not exist.
        send_id: restricts the timeline to this send and to the decisions of its flow instance.
        letters: the dead letters of the customer, or of the send.
        limit: keep only as many of the newest entries; None keeps all.
    """
    own = [(topic, record) for topic, record in records if record["customer_id"] == customer_id]
    instance_id = _instance_of(send_id, own) if send_id else None
    entries: dict[tuple[Any, ...], TimelineEntry] = {}
    for topic, record in own:
        is_of_send = record.get("send_id") == send_id
        is_of_instance = instance_id is not None and record.get("instance_id") == instance_id
        if send_id and not is_of_send and not is_of_instance:
            continue
        # Records with the same id are copies of one record.
        key = record.get("decision_id") or record.get("event_id") or record.get("attribution_id")
        entries[topic, key] = ENTRY_OF[topic](record)
    entries.update({(topics.DEAD_LETTERS, letter.id): _letter(letter) for letter in letters})
    past = sorted(entries.values(), key=lambda entry: entry.at)
    shown = past if limit is None else past[max(0, len(past) - limit) :]
    merge = (state.merge if state is not None else None) or Merge()
    has_waiting = state is not None and not (send_id and instance_id is None)
    return Timeline(
        customer_id=customer_id,
        is_known=bool(entries) if send_id else state is not None or bool(entries),
        entries=tuple(shown),
        waiting=tuple(_waiting(state, instance_id)) if state is not None and has_waiting else (),
        omitted=len(past) - len(shown),
        merged_into=merge.into,
        merged_ids=merge.ids,
    )


def _instance_of(send_id: str, records: Iterable[tuple[str, Mapping[str, Any]]]) -> str | None:
    """Return the flow instance that a send belongs to, if a record names it."""
    for _, record in records:
        if record.get("send_id") == send_id and "instance_id" in record:
            return str(record["instance_id"])
    return None


def _decision(record: Mapping[str, Any]) -> TimelineEntry:
    return TimelineEntry(
        at=record["decided_at"],
        what=record["outcome"],
        flow=record["flow"],
        about=f"step {record['step']}" if record["step"] else "",
        text=decision_text(record["rule"], record["detail"]),
        send_id=record["send_id"],
        order_id=record["order_id"],
    )


def _email_event(record: Mapping[str, Any]) -> TimelineEntry:
    text = OUTCOMES.get(record["outcome"], record["outcome"])
    if record["retry_at"] is not None:
        text += f", next attempt at {format_time(record['retry_at'])}"
    return TimelineEntry(
        at=record["occurred_at"],
        what=record["outcome"],
        flow=record["flow"],
        about=f"email {record['message']}",
        text=f"{text} ({record['reason']})" if record["reason"] and record["outcome"] != "sent" else text,
        send_id=record["send_id"],
        order_id=record["order_id"],
    )


def _engagement(record: Mapping[str, Any]) -> TimelineEntry:
    text = ENGAGEMENT.get(record["kind"], record["kind"])
    agent = f" (by a {record['agent'].replace('_', ' ')})" if record["agent"] in ("scanner", "privacy_proxy") else ""
    return TimelineEntry(
        at=record["occurred_at"],
        what=record["kind"],
        flow=record["flow"],
        about=f"email {record['message']}" if record["message"] else "",
        text=text + agent,
        send_id=record["send_id"],
        order_id=record["order_id"],
    )


def _letter(letter: DeadLetter) -> TimelineEntry:
    reason = f"{letter.reason}: {letter.detail}" if letter.detail else letter.reason
    text = f"stage {letter.stage or 'unknown'} could not process it ({reason})"
    if letter.reason in UNDECODABLE:
        text += "; its content cannot be read, but its key is this customer"
    return TimelineEntry(
        at=letter.failed_at,
        what="rejected",
        flow="",
        about=f"record {letter.id}",
        text=text,
        send_id=None,
        order_id=None,
    )


#: The topics of a timeline, and the function that makes an entry of a record.
ENTRY_OF: Mapping[str, Callable[[Mapping[str, Any]], TimelineEntry]] = MappingProxyType(
    {topics.DECISIONS: _decision, topics.EVENTS: _email_event, topics.ATTRIBUTED: _engagement}
)


def _waiting(state: Customer, instance_id: str | None) -> list[TimelineEntry]:
    return [
        TimelineEntry(
            at=instance.due_at,
            what="waiting",
            flow=instance.flow,
            about=f"step {instance.step}" if instance.has_started else "",
            text=waiting_text(instance),
            send_id=None,
            order_id=instance.order_id or None,
        )
        for instance in sorted(state.instances, key=lambda instance: instance.due_at)
        if instance_id is None or instance.instance_id == instance_id
    ]


def waiting_text(instance: Instance) -> str:
    """Return what an instance waits for, as a sentence after the time until which it waits."""
    if instance.waits_for_expiry:
        return "starts then, before the code of a reward ends, unless the customer has used it"
    if instance.waits_for_launch:
        return f"starts then, before the launch of product {dict(instance.trigger_data)['sku']}"
    if instance.waits_for_segment:
        return "checks then whether to start: its segment or threshold may then apply"
    if not instance.has_started:
        return "starts then, every year"
    if instance.awaited_pool:
        return f"waits for a code of pool {instance.awaited_pool}, at most until then"
    if instance.awaited_target:
        return "continues then, or earlier or later if the time it waits for changes"
    if instance.awaited_event:
        return f"waits for {instance.awaited_event}, at most until then"
    if instance.wanted_at is not None:
        return f"an email due at {format_time(instance.wanted_at)} is deferred; it is evaluated again then"
    return "continues then"


def format_time(at: datetime) -> str:
    """Return `at` in UTC, for example `2026-03-02 09:00:00`."""
    return at.astimezone(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
