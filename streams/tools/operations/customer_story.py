"""Why a customer got a mail, or got none: one customer's timeline, from the decisions, what became of the mails, and the state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from streams.core.model.customer import Customer
from streams.core.model.flow import CODE_OF, LOOK_STEP, MOMENT_OF
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.topic_reader import partitions_of, read_to_the_end
from streams.settings import Settings
from streams.tools.operations.customer_states import read_customer
from streams.wire import topics
from streams.wire.codec import open_codec

#: The rules that decide, in words for who answers the customer. What a rule is about is in the decision's own words behind it.
RULES: Mapping[str, str] = MappingProxyType(
    {
        # what is allowed
        "transactional": "the shop owes this mail",
        "consent": "the customer agreed to such mails",
        "own_opt_in": "the customer agreed to this kind of mail",
        "soft_opt_in": "a customer who bought may get mails about similar things, and did not object",
        "allowed": "no consent is needed for it in this country",
        "draft": "the flow is a draft: nothing is sent",
        # consent and address
        "unsubscribed": "the customer unsubscribed",
        "hard_bounced": "the address does not exist",
        "complained": "the customer called a mail of ours spam",
        "soft_bounces": "the last mails all came back",
        "no_consent": "the customer did not agree to such mails",
        "no_own_opt_in": "the customer was never asked for this kind of mail, or did not answer",
        "no_soft_opt_in": "nothing was bought, and the customer did not agree",
        "soft_opt_in_ended": "the last purchase is too long ago to write without consent",
        "no_address": "no address is known",
        # the flow
        "where": "the flow is not for this order or customer",
        "no_arm": "no branch of the split fits",
        "experiment": "an experiment chose the branch",
        "holdout": "the customer is held out, to measure what mails do",
        "paused": "the flow is paused: looked at again later",
        "migrated": "moved to the flow's newer version",
        "moment_moved": "the moment that the flow waits for has been moved",
        "flow_gone": "the flow or the step is no longer there",
        "pool_empty": "no code was left for the customer: the flow went on without one",
        "code_too_late": "a code came that the flow no longer waited for; it went back to its pool",
        "code_expired": "the code was no longer good when it came: the flow went on without one",
        "already_delivered": "the parcel was already delivered",
        # the rules around every mail
        "cap": "the customer has had enough mails for now",
        "quiet_hours": "it was the customer's quiet time",
        "order_late": "an order is late: no advertising meanwhile",
        "refunded": "an order was refunded lately: no advertising meanwhile",
        "calm_series": "a matter with the customer is open, for example a complaint: no advertising meanwhile",
        "clash": "another flow or series is running that this one keeps clear of",
        "not_before": "the mail's day had not come",
        "expired": "it could not be sent in time",
        # exits
        "goal": "the goal of the flow is reached",
        "order.placed": "the customer bought again",
        "order.paid": "the order was paid",
        "order.cancelled": "the order was cancelled",
        "order.refunded": "the order was refunded",
        "shipment.returned": "the parcel went back",
        "customer.unsubscribed": "the customer unsubscribed",
        # limits
        "steps_per_wake_up": "the flow took too many steps at once",
        "instances": "too many flows at once",
        "launches": "too many launches waited for at once",
        "orders": "too many orders: the oldest are forgotten",
        "lines_per_order": "too many lines in the order",
        "lines_per_parcel": "too many lines in the parcel",
        "parcels_per_order": "too many parcels in the order",
        # the mailer
        "accepted": "the mail server took it",
        "sent_again": "it was sent once more: a crash hid whether it had left",
        "4xx": "the mail server asked to try again later",
        "put_off": "the mail server asked to try again later",
        "not_after": "it was too late to send it",
        "withdrawn": "it was no longer allowed when its turn came",
        "too_few_products": "there were too few products to recommend",
        "unsendable": "the mail could not be composed: an address or a subject with forbidden characters",
        "unrenderable": "the mail could not be written: a template is missing or broken",
        "5xx": "the mail server refused it for good",
        "gave_up": "the mail server put it off until it was too late",
        "in_flight_after_crash": "the mailer died while it was sending: it may have arrived",
        "connection_lost": "the connection broke after the mail was handed over: it may have arrived",
    }
)


class Line(Struct, frozen=True, kw_only=True):
    """One thing that happened, or is to come. `what` is the outcome in a word, `words` says it in a sentence, without personal data."""

    at: datetime
    what: str
    flow: str
    about: str
    words: str
    send_id: str | None
    order_id: str | None


class Story(Struct, frozen=True, kw_only=True):
    """What is known of a customer's mails, or of one send: what happened, oldest first, and what is waiting, soonest first."""

    customer_id: str
    is_known: bool
    happened: tuple[Line, ...]
    waiting: tuple[Line, ...]


def story(
    customer_id: str,
    records: Iterable[tuple[str, Mapping[str, Any]]],
    state: Customer | None,
    send_id: str | None = None,
) -> Story:
    """The story that the records and the state tell.

    Args:
        customer_id: whose.
        records: topic and record of decisions, email events and attributed engagement, of whichever customers, in any order.
        state: the customer as the flows agent knows them; None if it does not.
        send_id: only what is about this send, and the decisions of its flow instance.
    """
    own = [(topic, record) for topic, record in records if record["customer_id"] == customer_id]
    instance = next(
        (
            record["instance_id"]
            for _, record in own
            if send_id and record.get("send_id") == send_id and "instance_id" in record
        ),
        None,
    )
    lines: dict[tuple[Any, ...], Line] = {}
    for topic, record in own:
        if send_id and send_id != record.get("send_id") and (instance is None or record.get("instance_id") != instance):
            continue
        # The same decision is the same record, however often it was written.
        key = record.get("decision_id") or record.get("event_id") or record.get("attribution_id")
        lines[topic, key] = _MAKERS[topic](record)
    waiting = _waiting(state, instance) if state is not None and not (send_id and instance is None) else []
    return Story(
        customer_id=customer_id,
        is_known=bool(lines) if send_id else state is not None or bool(own),
        happened=tuple(sorted(lines.values(), key=lambda line: line.at)),
        waiting=tuple(waiting),
    )


def _decided(record: Mapping[str, Any]) -> Line:
    rule, detail = record["rule"], record["detail"]
    meaning = RULES.get(rule, rule)
    return Line(
        at=record["decided_at"],
        what=record["outcome"],
        flow=record["flow"],
        about=f"step {record['step']}" if record["step"] else "",
        words=f"{meaning} ({detail})" if detail and detail != meaning else meaning,
        send_id=record["send_id"],
        order_id=record["order_id"],
    )


def _mailed(record: Mapping[str, Any]) -> Line:
    said = {
        "sent": "the mail server took it",
        "deferred": "the mail server asked to try again later",
        "refused": "the mail server refused it",
        "expired": "too late to send it",
        "suppressed": "held back at the last moment",
        "unknown": "it may have arrived, or not",
    }
    words = said.get(record["outcome"], record["outcome"])
    if record["retry_at"] is not None:
        words += f", again at {_clock(record['retry_at'])}"
    return Line(
        at=record["occurred_at"],
        what=record["outcome"],
        flow=record["flow"],
        about=f"mail {record['message']}",
        words=f"{words} ({record['reason']})" if record["reason"] and record["outcome"] != "sent" else words,
        send_id=record["send_id"],
        order_id=record["order_id"],
    )


def _engaged(record: Mapping[str, Any]) -> Line:
    words = {
        "ordered": "bought after a click on this mail",
        "ordered_held_out": "bought without the mail, which was held out",
    }.get(record["kind"], f"the customer: {record['kind']}")
    by = f" (by a {record['agent'].replace('_', ' ')})" if record["agent"] in ("scanner", "privacy_proxy") else ""
    return Line(
        at=record["occurred_at"],
        what=record["kind"],
        flow=record["flow"],
        about=f"mail {record['message']}" if record["message"] else "",
        words=words + by,
        send_id=record["send_id"],
        order_id=record["order_id"],
    )


_MAKERS: Mapping[str, Any] = MappingProxyType(
    {topics.DECISIONS: _decided, topics.EVENTS: _mailed, topics.ATTRIBUTED: _engaged}
)


def _waiting(state: Customer, instance_id: str | None) -> list[Line]:
    lines = []
    for instance in sorted(state.instances, key=lambda one: one.due_at):
        if instance_id is not None and instance.instance_id != instance_id:
            continue
        if instance.is_launch:
            words = f"waits for the launch of the product {dict(instance.about)['sku']}, begins then"
        elif instance.step == LOOK_STEP:
            words = "looks then whether it begins: the flow's segment may be entered or left"
        elif not instance.has_begun:
            words = "begins then, every year"
        elif instance.awaits.startswith(CODE_OF):
            pool = instance.awaits.removeprefix(CODE_OF)
            words = f"waits for a code of the pool {pool}, not longer than until then"
        elif instance.awaits.startswith(MOMENT_OF):
            words = "goes on then, or when the moment that it waits for comes, if that is moved"
        elif instance.awaits:
            words = f"waits for {instance.awaits}, not longer than until then"
        elif instance.wanted_at is not None:
            words = f"a mail that was due {_clock(instance.wanted_at)} is put off; looked at again then"
        else:
            words = "goes on then"
        lines.append(
            Line(
                at=instance.due_at,
                what="waiting",
                flow=instance.flow,
                about=f"step {instance.step}" if instance.has_begun else "",
                words=words,
                send_id=None,
                order_id=instance.order_id or None,
            )
        )
    return lines


def told(found: Story) -> list[str]:
    """The story as lines for people, times in UTC."""
    lines = [
        f"{found.customer_id}: {len(found.happened)} things happened, {len(found.waiting)} are to come (times in UTC)"
    ]
    lines += [_told(line) for line in found.happened]
    if found.waiting:
        lines += ["to come:", *(_told(line) for line in found.waiting)]
    return lines


def _told(line: Line) -> str:
    send = f"  [{line.send_id}]" if line.send_id else ""
    order = f" of order {line.order_id}" if line.order_id else ""
    return f"  {_clock(line.at)}  {line.what:<9} {line.flow} {line.about}{order}: {line.words}{send}".replace(
        "  :", ":"
    )


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


def read_story(
    settings: Settings,
    customer_id: str,
    *,
    days: float = 30.0,
    send_id: str | None = None,
    now: datetime | None = None,
    on_progress: Any = lambda done, total: None,
) -> Story:
    """The story of a customer, read from the cluster: the one partition that holds them, as far back as `days`.

    Raises:
        KafkaException: the cluster cannot be reached or refuses, or a topic is not there.
        TimeoutError: the broker is silent.
    """
    codec = open_codec(settings.schema_registry_url, schemas=settings.schemas_dir)
    key = customer_id.encode()
    since = (now or datetime.now(UTC)) - timedelta(days=days)
    partition = partition_of(key, partitions_of(settings.kafka(), topics.DECISIONS, group_id=settings.reader_group_id))
    records = [
        (message.topic(), _decoded(codec, message))
        for message in read_to_the_end(
            settings.kafka(),
            _MAKERS,
            group_id=settings.reader_group_id,
            partition=partition,
            since_ms=int(since.timestamp() * 1000),
            on_progress=on_progress,
        )
        if message.key() == key
    ]
    return story(customer_id, records, read_customer(settings, customer_id, partition, on_progress), send_id)


def _decoded(codec: Codec, message: Any) -> Mapping[str, Any]:
    return codec.decode(topics.SCHEMA_OF[message.topic()], message.value())
