"""Between the records on the topics and the core's facts and orders. What breaks a rule stops here, before the core sees it.

Ids and addresses are taken as they are or not at all; texts for people lose their control characters; a text may hold HTML, which
is escaped where it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import orjson

from streams import topics
from streams.core import events
from streams.core.effects import (
    Attribute,
    DecisionOutcome,
    Effect,
    LogDecision,
    Purpose,
    ResendMail,
    ScheduleStep,
    SendMail,
)
from streams.core.events import Event, MailOutcome
from streams.mail.command import Command
from streams.runtime.avro import Codec, Undecodable, load_history, load_schemas
from streams.runtime.checkpoint import Broken

Headers: TypeAlias = list[tuple[str, bytes]]
#: Topic, key, value, headers: what a producer takes.
Output: TypeAlias = tuple[str, bytes, bytes, Headers]
Record: TypeAlias = dict[str, Any]

SCHEMAS = Path(__file__).parent.parent / "schemas"

#: The rules that a record can break, the closed list of `RuleBroken.rule`, and what each asks.
RULES: dict[str, str] = {
    "no_value": "a record of this topic has a value",
    "unknown_topic": "facts come from the topics of the flows agent",
    "no_customer": "customer_id is not empty",
    "bad_id": "an id is not empty, has 200 characters at most, and no control characters",
    "bad_time": "a time has a zone and lies between 2000 and 2100",
    "future_time": "what happened did not happen more than a day after its record was written",
    "negative_amount": "an amount of money is 0 or more",
    "bad_currency": "a currency is three upper-case letters",
    "bad_quantity": "a quantity is 1 or more",
    "too_many_lines": "an order or parcel has 1,000 lines at most",
    "bad_address": "an address is one address, user@host, without spaces and control characters",
    "bad_country": "a country is two upper-case letters, or empty",
    "bad_locale": "a locale looks like da or en-GB, or is empty",
    "bad_link": "a link starts with http:// or https://, or is empty",
    "too_long": "a text is within its bound",
    "unknown_kind": "the record's kind is one that this version knows",
    "missing_field": "what this kind of record needs is there",
    "bad_context": "a command's context is a JSON object",
}
MAX_LINES = 1000
MAX_ID = 200
MAX_TEXT = 500
MAX_LINK = 2000
MAX_ADDRESS = 254
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# C0 and C1 controls, line and paragraph separators, and what reverses the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NOT_IN_ADDRESS = r"\s@<>()\[\],;:\"\\\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069"
_ADDRESS = re.compile(f"[^{_NOT_IN_ADDRESS}]{{1,64}}@[^{_NOT_IN_ADDRESS}]+")
_CURRENCY = re.compile("[A-Z]{3}")
_COUNTRY = re.compile("(?:[A-Z]{2})?")
# Also keeps a locale from naming a file outside the folder of the copy.
_LOCALE = re.compile("(?:[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4})?")
_LINK = re.compile(r"(?:https?://[^\s\"<>\x00-\x1f\x7f-\x9f]+)?")

_ORDER_EVENTS: dict[str, Callable[[events.Order, datetime], events.OrderEvent]] = {
    "placed": events.OrderPlaced,
    "changed": events.OrderChanged,
    "cancelled": events.OrderCancelled,
    "refunded": events.OrderRefunded,
}
_STATUSES = frozenset(get_args(events.ShipmentStatus))
_PURPOSES = frozenset(get_args(Purpose))


class RuleBroken(Broken):
    """A record that can be read but is not to be believed. `rule` (also `reason`) is a name in `RULES`; `detail` holds no data."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.rule = rule


class Slice(NamedTuple):
    """What was read of one topic: offsets from `first` to `last`, inclusive."""

    topic: str
    first: int
    last: int


def open_codec(registry_url: str | None = None, *, registry: Any = None, schemas: Path = SCHEMAS) -> Codec:
    """The codec of the contracts in `schemas/`, old versions included.

    Args:
        registry_url: a schema registry; None for Avro's own framing.
        registry: a registry client to use instead of making one.
        schemas: the folder.

    Raises:
        ValueError, OSError: a schema cannot be read.
        SchemaRegistryError: the registry refuses a schema.
    """
    return Codec(
        load_schemas(schemas),
        registry_url,
        registry=registry,
        history=load_history(schemas / "history"),
        subjects=topics.subjects(),
    )


def timer_due(value: bytes) -> tuple[str, int]:
    """The id of an encoded timer and its due time in ms since 1970; reads nothing else, 500,000 a second and more.

    Raises:
        Undecodable: no framing, or the data ends too early.
        RuleBroken: `bad_time`, `bad_id`.
    """
    at = 10 if value[:2] == b"\xc3\x01" else 5 if value[:1] == b"\x00" else 0
    if not at:
        raise Undecodable("not_avro", "neither Avro's single-object encoding nor the Confluent framing")
    try:
        # Avro's zigzag numbers, seven bits a byte, by hand: the length of the id, then the due time.
        byte = value[at]
        length, shift = byte & 0x7F, 7
        while byte > 0x7F and shift < 64:
            at += 1
            byte = value[at]
            length |= (byte & 0x7F) << shift
            shift += 7
        at += 1
        end = at + (length >> 1)
        byte = value[end]
        due, shift = byte & 0x7F, 7
        position = end
        while byte > 0x7F and shift < 64:
            position += 1
            byte = value[position]
            due |= (byte & 0x7F) << shift
            shift += 7
    except IndexError:
        raise Undecodable("truncated", f"a timer does not end after {len(value)} bytes") from None
    if length & 1 or not 0 < length >> 1 <= 4 * MAX_ID:
        raise RuleBroken("bad_id", f"timer_id of {length >> 1} bytes")
    if due & 1 or due >> 1 > _LATEST_MS:
        raise RuleBroken("bad_time", "due_at is before 1970 or after 2100")
    try:
        return value[at:end].decode(), due >> 1
    except UnicodeDecodeError:
        raise Undecodable("not_avro", "timer_id is not UTF-8") from None


_LATEST_MS = int(LATEST.timestamp() * 1000)


class Wire:
    """Turns records into facts and effects into records.

    Args:
        codec: the contracts' codec, see `open_codec`.
        source: who writes, for the CloudEvents header `ce_source`.
    """

    def __init__(self, codec: Codec, source: str = "/takk") -> None:
        self._codec = codec
        self._source = ("ce_source", source.encode())
        self._events: dict[str, tuple[str, Callable[[Record, datetime | None], Event]]] = {
            topics.ORDERS: ("order", _order_event),
            topics.SHIPMENTS: ("shipment", _shipment_event),
            topics.ENGAGEMENT: ("engagement", _engagement_event),
            topics.CUSTOMERS: ("customer", _profile_event),
            topics.EVENTS: ("email_event", _report_event),
            topics.DUE: ("timer", _timer_event),
        }
        self._outputs: dict[type, Callable[[Any, datetime], Output]] = {
            ScheduleStep: self._schedule,
            SendMail: self._send,
            ResendMail: self._resend,
            LogDecision: self._decision,
            Attribute: self._attribute,
        }
        self._types = {
            schema: ("ce_type", f"takk.{name}".encode())
            for schema, name in {
                "timer": "Timer",
                "email_command": "EmailCommand",
                "email_event": "EmailEvent",
                "engagement": "Engagement",
                "flow_decision": "FlowDecision",
                "attributed_engagement": "AttributedEngagement",
                "dead_letter": "DeadLetter",
                "checkpoint": "Checkpoint",
            }.items()
        }
        self._time: tuple[datetime, tuple[str, bytes]] = (EPOCH, ("ce_time", b""))

    # -- in ------------------------------------------------------------------------------------------------------------

    def event(self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int) -> Event:
        """The fact that a record tells. Whether `key` fits its customer is for the caller to see (`customer_of`).

        Args:
            topic: where it was read: orders, shipments, email-engagement, customers, email-events or flow-due.
            key: the record's key.
            value: the record's value.
            timestamp_ms: the record's time in ms since 1970; 0 or less when it has none.

        Raises:
            Undecodable: the value is no record of the topic's schema.
            RuleBroken: it is one, and breaks a rule.
        """
        try:
            schema, make = self._events[topic]
        except KeyError:
            raise RuleBroken("unknown_topic", f"no facts are read from {topic}") from None
        if value is None:
            raise RuleBroken("no_value", f"a record of {topic} without a value")
        record = self._codec.decode(schema, value)
        if not record["customer_id"]:
            raise RuleBroken("no_customer", "customer_id is empty")
        _id(record, "customer_id")
        # A record's own time may be anything that a producer set; an impossible one bounds nothing.
        written = EPOCH + timedelta(milliseconds=timestamp_ms) if 0 < timestamp_ms < _LATEST_MS else None
        return make(record, written)

    def command(self, value: bytes) -> Command:
        """The command that a record of `email-commands` holds.

        Raises:
            Undecodable, RuleBroken: as `event`.
        """
        record = self._codec.decode("email_command", value)
        for field in ("customer_id", "send_id"):
            _id(record, field)
        _address(record["to_address"], "to_address")
        record["to_name"] = _text(record["to_name"], "to_name")
        _check_locale(record["locale"])
        if record["purpose"] not in _PURPOSES:
            raise RuleBroken("unknown_kind", "a purpose that this version does not know")
        if record["attempt"] < 1:
            raise RuleBroken("bad_quantity", "attempt is below 1")
        try:
            context = orjson.loads(record["context"])
        except orjson.JSONDecodeError:
            raise RuleBroken("bad_context", "context is not JSON") from None
        if not isinstance(context, dict):
            raise RuleBroken("bad_context", "context is JSON, but not an object")
        record["context"] = context
        for field in ("not_after", "commanded_at"):
            record[field] = _time(record[field], field, None)
        return Command(**record, raw=value)

    # -- out -----------------------------------------------------------------------------------------------------------

    def output(self, effect: Effect, now: datetime) -> Output:
        """The record that gives an effect to whom it is for.

        Args:
            effect: any effect of the core.
            now: the clock of the batch, UTC.

        Raises:
            TypeError: an effect that this module does not know.
            ValueError: a field that its schema cannot hold.
        """
        make = self._outputs.get(type(effect))
        if make is None:
            raise TypeError(f"no topic for {type(effect).__name__}")
        return make(effect, now)

    def retry_timer(self, command: Command, due_at: datetime, now: datetime | None = None) -> Output:
        """The timer that brings a command back at `due_at` (UTC) as its next attempt; `now` is for its header, else `due_at`."""
        attempt = command.attempt + 1
        timer_id = f"{command.send_id}.{attempt}"
        record = {
            "timer_id": timer_id,
            "due_at": due_at,
            "customer_id": command.customer_id,
            "kind": "retry",
            "instance_id": command.instance_id,
            "flow": command.flow,
            "step": command.step,
            "send_id": command.send_id,
            "attempt": attempt,
            "purpose": command.purpose,
            "not_after": command.not_after,
            "command": command.raw,
        }
        return self._record(topics.DELAYS, "timer", command.customer_id, timer_id, record, now or due_at)

    def email_event(
        self,
        command: Command,
        outcome: MailOutcome,
        at: datetime,
        *,
        queue_id: str | None = None,
        status_code: int | None = None,
        reason: str = "",
        retry_at: datetime | None = None,
    ) -> Output:
        """What became of a command at `at` (UTC).

        Args:
            command: the command.
            outcome: what became of it.
            at: when.
            queue_id: what the server calls the mail.
            status_code: the server's SMTP reply code.
            reason: the server's words or the rule that decided, without addresses; cut at 500 characters.
            retry_at: when it is tried again (`deferred`).
        """
        event_id = f"{command.send_id}.{command.attempt}.{outcome}"
        record = {
            "event_id": event_id,
            "send_id": command.send_id,
            "customer_id": command.customer_id,
            "outcome": outcome,
            "instance_id": command.instance_id,
            "flow": command.flow,
            "flow_version": command.flow_version,
            "step": command.step,
            "message": command.message,
            "purpose": command.purpose,
            "order_id": command.order_id,
            "attempt": command.attempt,
            "queue_id": queue_id,
            "status_code": status_code,
            "reason": reason[:MAX_TEXT],
            "retry_at": retry_at,
            "order_placed_at": _placed_at(command.context),
            "commanded_at": command.commanded_at,
            "occurred_at": at,
        }
        return self._record(topics.EVENTS, "email_event", command.customer_id, event_id, record, at)

    def bounce(self, command: Command, hard: bool, reason: str, at: datetime) -> Output:
        """That the server refused a mail at `at` (UTC), as engagement; `reason` as in `email_event`."""
        record = {
            "customer_id": command.customer_id,
            "send_id": command.send_id,
            "kind": "bounced",
            "occurred_at": at,
            "hard": hard,
            "reason": reason[:MAX_TEXT],
        }
        event_id = f"{command.send_id}.{command.attempt}.bounced"
        return self._record(topics.ENGAGEMENT, "engagement", command.customer_id, event_id, record, at)

    def mail_decision(self, command: Command, outcome: DecisionOutcome, rule: str, detail: str, at: datetime) -> Output:
        """Why the mailer sends or does not send a command, decided at `at` (UTC) by `rule`; `detail` without personal data."""
        decision = LogDecision(
            decision_id=f"{command.send_id}.{command.attempt}.{rule}",
            customer_id=command.customer_id,
            flow=command.flow,
            flow_version=command.flow_version,
            instance_id=command.instance_id,
            step=command.step,
            outcome=outcome,
            rule=rule,
            detail=detail,
            send_id=command.send_id,
            order_id=command.order_id,
            decided_at=at,
        )
        return self._decision(decision, at)

    def dead_letter(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        reason: str,
        detail: str,
        at: datetime,
        *,
        stage: str = "",
        headers: Sequence[tuple[str, bytes | None]] | None = None,
    ) -> Output:
        """A record that could not be taken, whole.

        Args:
            topic, partition, offset: where it was read.
            key, value, headers: the record, unchanged.
            reason, detail: of `Undecodable` or `RuleBroken`, or of the stage; `detail` is cut at 1,000 characters.
            at: when it was given up, UTC.
            stage: who gave it up.
        """
        record = {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "key": key,
            "value": value,
            "headers": [{"name": name, "value": content} for name, content in headers or ()],
            "reason": reason,
            "detail": detail[:1000],
            "stage": stage,
            "failed_at": at,
        }
        encoded = self._codec.encode("dead_letter", record)
        return (
            topics.DEAD_LETTERS,
            key or b"",
            encoded,
            self._headers("dead_letter", f"{topic}/{partition}/{offset}", at),
        )

    def checkpoint(
        self,
        agent: str,
        partition: int,
        now: datetime,
        slices: Sequence[Slice | tuple[str, int, int]],
        records: int | None = None,
    ) -> Output:
        """What a committed batch read.

        Args:
            agent: the agent.
            partition: the partition number.
            now: the clock of the batch, UTC.
            slices: topic, first and last offset of each topic read.
            records: how many records were read; None: as many as the slices have offsets.
        """
        read = sum(last - first + 1 for _, first, last in slices) if records is None else records
        record = {
            "agent": agent,
            "partition": partition,
            "now": now,
            "slices": [{"topic": topic, "first": first, "last": last} for topic, first, last in slices],
            "records": read,
        }
        place = f"{agent}/{partition}"
        batch_id = "/".join([place, *(f"{topic}@{last}" for topic, _, last in slices)])
        return self._record(topics.CHECKPOINTS, "checkpoint", place, batch_id, record, now)

    def _schedule(self, effect: ScheduleStep, now: datetime) -> Output:
        record = {
            "timer_id": effect.timer_id,
            "due_at": effect.due_at,
            "customer_id": effect.customer_id,
            "kind": "step",
            "instance_id": effect.instance_id,
            "flow": effect.flow,
            "step": effect.step,
        }
        return self._record(topics.DELAYS, "timer", effect.customer_id, effect.timer_id, record, now)

    def _send(self, effect: SendMail, now: datetime) -> Output:
        record = {name: getattr(effect, name) for name in _SEND_FIELDS}
        record["context"] = orjson.dumps(effect.context).decode()
        record["attempt"] = 1
        record["commanded_at"] = now
        return self._record(topics.COMMANDS, "email_command", effect.customer_id, f"{effect.send_id}.1", record, now)

    def _resend(self, effect: ResendMail, now: datetime) -> Output:
        # Encoded anew, not copied: the attempt is in it, and an old framing becomes today's.
        record = self._codec.decode("email_command", effect.command)
        record["attempt"] = effect.attempt
        event_id = f"{effect.send_id}.{effect.attempt}"
        return self._record(topics.COMMANDS, "email_command", effect.customer_id, event_id, record, now)

    def _decision(self, effect: LogDecision, now: datetime) -> Output:
        record = {name: getattr(effect, name) for name in _DECISION_FIELDS}
        return self._record(topics.DECISIONS, "flow_decision", effect.customer_id, effect.decision_id, record, now)

    def _attribute(self, effect: Attribute, now: datetime) -> Output:
        record = {name: getattr(effect, name) for name in _ATTRIBUTE_FIELDS}
        return self._record(
            topics.ATTRIBUTED, "attributed_engagement", effect.customer_id, effect.attribution_id, record, now
        )

    def _record(self, topic: str, schema: str, key: str, event_id: str, record: Record, at: datetime) -> Output:
        return topic, key.encode(), self._codec.encode(schema, record), self._headers(schema, event_id, at)

    def _headers(self, schema: str, event_id: str, at: datetime) -> Headers:
        last, header = self._time
        if last != at:  # a batch has one clock: its text is made once
            header = ("ce_time", at.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode())
            self._time = (at, header)
        return [_SPECVERSION, self._types[schema], self._source, header, ("ce_id", event_id.encode()), _CONTENT_TYPE]


_SPECVERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/avro")
_SEND_FIELDS = SendMail.__struct_fields__
_DECISION_FIELDS = LogDecision.__struct_fields__
_ATTRIBUTE_FIELDS = Attribute.__struct_fields__


# -- records to facts --------------------------------------------------------------------------------------------------


def _order_event(record: Record, written: datetime | None) -> Event:
    make = _ORDER_EVENTS.get(record["kind"])
    if make is None:
        raise RuleBroken("unknown_kind", "an order's kind that this version does not know")
    lines = record["lines"]
    if len(lines) > MAX_LINES:
        raise RuleBroken("too_many_lines", f"lines: {len(lines)}")
    if record["total_minor"] < 0:
        raise RuleBroken("negative_amount", "total_minor is below 0")
    if not _CURRENCY.fullmatch(record["currency"]):
        raise RuleBroken("bad_currency", "currency is not three upper-case letters")
    if record["email"]:
        _address(record["email"], "email")
    _check_locale(record["locale"])
    country, ship_country = record["country"], record["ship_country"]
    _check_country(country, "country")
    if ship_country is not country:
        _check_country(ship_country, "ship_country")
    order = events.Order(
        order_id=_id(record, "order_id"),
        customer_id=record["customer_id"],
        email=record["email"],
        name=_text(record["name"], "name"),
        locale=record["locale"],
        country=country,
        ship_country=ship_country,
        currency=record["currency"],
        total_minor=record["total_minor"],
        placed_at=_time(record["placed_at"], "placed_at", written),
        lines=tuple([_order_line(line) for line in lines]),
        time_zone=_zone(record["time_zone"]),
    )
    return make(order, _time(record["occurred_at"], "occurred_at", written))


def _order_line(line: Record) -> events.OrderLine:
    if line["quantity"] < 1:
        raise RuleBroken("bad_quantity", "lines.quantity is below 1")
    if line["unit_price_minor"] < 0:
        raise RuleBroken("negative_amount", "lines.unit_price_minor is below 0")
    return events.OrderLine(
        _id(line, "sku"),
        _text(line["title"], "lines.title"),
        _text(line["category"], "lines.category"),
        line["quantity"],
        line["unit_price_minor"],
    )


def _shipment_event(record: Record, written: datetime | None) -> Event:
    if record["status"] not in _STATUSES:
        raise RuleBroken("unknown_kind", "a shipment's status that this version does not know")
    if record["parcels_in_order"] < 1:
        raise RuleBroken("bad_quantity", "parcels_in_order is below 1")
    lines = record["lines"]
    if len(lines) > MAX_LINES:
        raise RuleBroken("too_many_lines", f"lines: {len(lines)}")
    for line in lines:
        if line["quantity"] < 1:
            raise RuleBroken("bad_quantity", "lines.quantity is below 1")
    link = record["tracking_url"]
    if len(link) > MAX_LINK:
        raise RuleBroken("too_long", f"tracking_url: {len(link)} characters")
    if not _LINK.fullmatch(link):
        raise RuleBroken("bad_link", "tracking_url is not http or https")
    return events.ShipmentUpdated(
        customer_id=record["customer_id"],
        order_id=_id(record, "order_id"),
        parcel_id=_id(record, "parcel_id"),
        parcels_in_order=record["parcels_in_order"],
        carrier=_text(record["carrier"], "carrier"),
        tracking_number=_text(record["tracking_number"], "tracking_number", MAX_ID),
        tracking_url=link,
        status=record["status"],
        window_from=_time_or_none(record, "window_from"),
        window_to=_time_or_none(record, "window_to"),
        lines=tuple([events.ShippedLine(_id(line, "sku"), line["quantity"]) for line in lines]),
        occurred_at=_time(record["occurred_at"], "occurred_at", written),
    )


def _engagement_event(record: Record, written: datetime | None) -> Event:
    kind, customer_id = record["kind"], record["customer_id"]
    at = _time(record["occurred_at"], "occurred_at", written)
    send_id = record["send_id"]
    if send_id is not None:
        _id(record, "send_id")
    if kind == "unsubscribed":
        scope: Literal["marketing", "review", "survey"] = record["scope"] or "marketing"
        return events.Unsubscribed(customer_id=customer_id, send_id=send_id, scope=scope, occurred_at=at)
    if kind == "answered":
        question, answer = record["question"], record["answer"]
        if not question or answer is None:
            raise RuleBroken("missing_field", "answered without question or answer")
        return events.SurveyAnswered(
            customer_id=customer_id,
            send_id=send_id,
            question=_id(record, "question"),
            answer=_text(answer, "answer", MAX_LINK),
            occurred_at=at,
        )
    if kind not in _MAIL_EVENTS:
        raise RuleBroken("unknown_kind", "an engagement's kind that this version does not know")
    if send_id is None:
        raise RuleBroken("missing_field", f"{kind} without send_id")
    return _MAIL_EVENTS[kind](record, customer_id, send_id, at)


def _clicked(record: Record, customer_id: str, send_id: str, at: datetime) -> Event:
    link = record["link"]
    if not link:
        raise RuleBroken("missing_field", "clicked without link")
    return events.MailClicked(
        customer_id=customer_id,
        send_id=send_id,
        link=_text(link, "link", MAX_LINK),
        agent=record["agent"],
        occurred_at=at,
    )


def _bounced(record: Record, customer_id: str, send_id: str, at: datetime) -> Event:
    return events.MailBounced(
        customer_id=customer_id,
        send_id=send_id,
        hard=bool(record["hard"]),
        reason=_text(record["reason"] or "", "reason", MAX_LINK),
        occurred_at=at,
    )


_MAIL_EVENTS: dict[str, Callable[[Record, str, str, datetime], Event]] = {
    "delivered": lambda record, customer_id, send_id, at: events.MailDelivered(
        customer_id=customer_id, send_id=send_id, occurred_at=at
    ),
    "opened": lambda record, customer_id, send_id, at: events.MailOpened(
        customer_id=customer_id, send_id=send_id, agent=record["agent"], occurred_at=at
    ),
    "clicked": _clicked,
    "bounced": _bounced,
    "complained": lambda record, customer_id, send_id, at: events.MailComplained(
        customer_id=customer_id, send_id=send_id, occurred_at=at
    ),
}


def _profile_event(record: Record, written: datetime | None) -> Event:
    email, name, locale, country = record["email"], record["name"], record["locale"], record["country"]
    if email:
        _address(email, "email")
    if locale:
        _check_locale(locale)
    if country:
        _check_country(country, "country")
    # An empty text is what a shop's form sends for "not known".
    return events.ProfileUpdated(
        customer_id=record["customer_id"],
        email=email or None,
        name=_text(name, "name") if name else None,
        locale=locale or None,
        country=country or None,
        time_zone=_zone(record["time_zone"]),
        marketing_consent=record["marketing_consent"],
        tracking_consent=record["tracking_consent"],
        occurred_at=_time(record["occurred_at"], "occurred_at", written),
    )


def _report_event(record: Record, written: datetime | None) -> Event:
    return events.MailReported(
        customer_id=record["customer_id"],
        send_id=_id(record, "send_id"),
        outcome=record["outcome"],
        occurred_at=_time(record["occurred_at"], "occurred_at", written),
    )


def _timer_event(record: Record, written: datetime | None) -> Event:
    due_at = _time(record["due_at"], "due_at", None)
    # When it fired is when its record on flow-due was written.
    fired_at = written or due_at
    if record["kind"] == "step":
        return events.StepDue(
            customer_id=record["customer_id"],
            timer_id=_id(record, "timer_id"),
            instance_id=_id(record, "instance_id"),
            flow=record["flow"],
            step=record["step"],
            due_at=due_at,
            occurred_at=fired_at,
        )
    if record["kind"] != "retry":
        raise RuleBroken("unknown_kind", "a timer's kind that this version does not know")
    for field in ("send_id", "purpose", "not_after", "command"):
        if record[field] is None:
            raise RuleBroken("missing_field", f"retry without {field}")
    return events.RetryDue(
        customer_id=record["customer_id"],
        timer_id=_id(record, "timer_id"),
        send_id=_id(record, "send_id"),
        attempt=record["attempt"],
        purpose=record["purpose"],
        not_after=_time(record["not_after"], "not_after", None),
        command=record["command"],
        due_at=due_at,
        occurred_at=fired_at,
    )


# -- the rules ---------------------------------------------------------------------------------------------------------


def _id(record: Record, field: str) -> str:
    value: str = record[field]
    if not 0 < len(value) <= MAX_ID:
        raise RuleBroken("bad_id", f"{field}: {len(value)} characters")
    if not value.isprintable() and _CONTROL.search(value):
        raise RuleBroken("bad_id", f"{field} has control characters")
    return value


def _text(value: str, field: str, bound: int = MAX_TEXT) -> str:
    """A text for people; control characters, line breaks among them, become spaces."""
    if len(value) > bound:
        raise RuleBroken("too_long", f"{field}: {len(value)} characters, {bound} at most")
    return value if value.isprintable() else _CONTROL.sub(" ", value)


def _address(value: str, field: str) -> None:
    if len(value) > MAX_ADDRESS or not _ADDRESS.fullmatch(value):
        raise RuleBroken("bad_address", f"{field} is not one address of {MAX_ADDRESS} characters at most")


def _check_country(value: str, field: str) -> None:
    if not _COUNTRY.fullmatch(value):
        raise RuleBroken("bad_country", f"{field} is not two upper-case letters")


def _check_locale(value: str) -> None:
    if not _LOCALE.fullmatch(value):
        raise RuleBroken("bad_locale", "locale does not look like da or en-GB")


def _zone(value: str | None) -> str | None:
    """A time zone's name; whether there is such a zone is for the core to see, which knows what to fall back on."""
    return _text(value, "time_zone", MAX_ID) if value else None


def _time(value: Any, field: str, written: datetime | None) -> datetime:
    if type(value) is int:  # the writer's schema has a long without a logical type
        value = EPOCH + timedelta(milliseconds=value) if 0 <= value <= _LATEST_MS else LATEST
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise RuleBroken("bad_time", f"{field} is no time in UTC")
    if not EARLIEST <= value < LATEST:
        raise RuleBroken("bad_time", f"{field} is in the year {value.year}")
    if written is not None and value - written > DAY:
        raise RuleBroken("future_time", f"{field} is {(value - written).days} days after its record was written")
    return value


def _time_or_none(record: Record, field: str) -> datetime | None:
    value = record[field]
    return None if value is None else _time(value, field, None)


def _placed_at(context: Mapping[str, Any]) -> datetime | None:
    """When the order of a mail's context was placed, if it says so."""
    order = context.get("order")
    text = order.get("placed_at") if isinstance(order, dict) else None
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
