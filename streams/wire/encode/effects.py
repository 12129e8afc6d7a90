"""Between the records on the topics and the core's facts and orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import orjson

from streams.core.model.effects import (
    Attribute,
    ClaimCode,
    CountSales,
    DecisionOutcome,
    Effect,
    EmitSignal,
    IssueReward,
    LogDecision,
    ResendMail,
    ScheduleStep,
    SendMail,
    WithdrawClaim,
    WithdrawMail,
)
from streams.core.model.events import CodeGranted, Event, MailOutcome
from streams.core.offers.catalogue import Product
from streams.core.offers.code_pool_records import Claim, Code, Withdrawal
from streams.core.offers.popularity import Change, Counts
from streams.mail.command import Command
from streams.runtime.avro.codec import Codec, load_history, load_schemas
from streams.settings import PROJECT_ROOT
from streams.wire import topics
from streams.wire.decode.codes import claim_of, claim_withdrawal_of, code_of
from streams.wire.decode.commands import command_of, placed_at, withdrawal_of
from streams.wire.decode.events import FACTS
from streams.wire.decode.products import change_of, counts_key, counts_of, product_of, record_of
from streams.wire.validation import (
    EPOCH,
    LATEST_MS,
    MAX_RECORD,
    MAX_TEXT,
    Record,
    ValidationFailed,
    take_id,
)

__all__ = ["Output", "Slice", "Wire", "open_codec"]

Headers: TypeAlias = list[tuple[str, bytes]]
#: Topic, key, value, headers: what a producer takes.
Output: TypeAlias = tuple[str, bytes, bytes, Headers]

SCHEMAS = PROJECT_ROOT / "schemas"


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


class Wire:
    """Turns records into facts and effects into records.

    Args:
        codec: the contracts' codec, see `open_codec`.
        source: who writes, for the CloudEvents header `ce_source`.
    """

    def __init__(self, codec: Codec, source: str = "/takk") -> None:
        self._codec = codec
        self._source = ("ce_source", source.encode())
        self._write_schedule = codec.writer("timer", ScheduleStep.__struct_fields__, {"kind": "step"})
        self._write_send = codec.writer(
            "email_command",
            [field for field in SendMail.__struct_fields__ if field != "content"],
            {"attempt": 1},
            ("context", "commanded_at"),
            encoded=("context",),
        )
        self._write_decision = codec.writer("flow_decision", LogDecision.__struct_fields__)
        self._write_attribute = codec.writer("attributed_engagement", Attribute.__struct_fields__)
        self._write_reward = codec.writer("reward", IssueReward.__struct_fields__)
        self._write_claim = codec.writer("code_claim", ClaimCode.__struct_fields__)
        self._write_claim_withdrawal = codec.writer("claim_withdrawal", WithdrawClaim.__struct_fields__)
        self._write_grant = codec.writer("code_grant", CodeGranted.__struct_fields__)
        self._write_signal = codec.writer("signal", EmitSignal.__struct_fields__)
        self._write_withdrawal = codec.writer("withdrawal", WithdrawMail.__struct_fields__)
        self._write_sales = codec.writer("sales", CountSales.__struct_fields__)
        self._events = FACTS
        self._outputs: dict[type, Callable[[Any, datetime], Output]] = {
            ScheduleStep: self._schedule,
            SendMail: self._send,
            ResendMail: self._resend,
            LogDecision: self._decision,
            Attribute: self._attribute,
            IssueReward: self._reward,
            ClaimCode: self._claim,
            WithdrawClaim: self._withdraw_claim,
            EmitSignal: self._signal,
            WithdrawMail: self._withdraw,
            CountSales: self._sales,
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
                "reward": "RewardIssued",
                "code_claim": "CodeClaim",
                "claim_withdrawal": "ClaimWithdrawal",
                "code_grant": "CodeGrant",
                "signal": "FlowSignal",
                "dead_letter": "DeadLetter",
                "checkpoint": "Checkpoint",
                "popularity": "Popularity",
                "sales": "Sales",
                "withdrawal": "Withdrawal",
            }.items()
        }
        self._time: tuple[datetime, tuple[str, bytes]] = (EPOCH, ("ce_time", b""))

    # -- in ------------------------------------------------------------------------------------------------------------

    def event(self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int) -> Event:
        """The fact that a record tells. Whether `key` fits its customer is for the caller to see.

        Args:
            topic: where it was read: orders, shipments, email-engagement, customers, email-events or flow-due.
            key: the record's key.
            value: the record's value.
            timestamp_ms: the record's time in ms since 1970; 0 or less when it has none.

        Raises:
            DecodeFailed: the value is no record of the topic's schema.
            ValidationFailed: it is one, and breaks a rule.
        """
        try:
            schema, make = self._events[topic]
        except KeyError:
            raise ValidationFailed("unknown_topic", f"no facts are read from {topic}") from None
        if value is None:
            raise ValidationFailed("no_value", f"a record of {topic} without a value")
        record = self._codec.decode(schema, value)
        if not record["customer_id"]:
            raise ValidationFailed("no_customer", "customer_id is empty")
        take_id(record, "customer_id")
        # A record's own time may be anything that a producer set; an impossible one bounds nothing.
        written = datetime.fromtimestamp(timestamp_ms / 1000, UTC) if 0 < timestamp_ms < LATEST_MS else None
        return make(record, written)

    def command(self, value: bytes) -> Command:
        """The command that a record of `email-commands` holds.

        Raises:
            DecodeFailed, ValidationFailed: as `event`.
        """
        return command_of(self._codec.decode("email_command", value), value)

    def product(self, value: bytes) -> Product:
        """The product that a record of `products` holds.

        Raises:
            DecodeFailed, ValidationFailed: as `event`.
        """
        return product_of(self._codec.decode("product", value))

    def counts(self, value: bytes) -> Counts:
        """The counts that a record of `product-popularity` holds.

        Raises:
            DecodeFailed, ValidationFailed: as `event`.
        """
        return counts_of(self._codec.decode("popularity", value))

    def sales(self, value: bytes) -> Change:
        """What a record of `product-sales` holds.

        Raises:
            DecodeFailed, ValidationFailed: as `event`.
        """
        return change_of(self._codec.decode("sales", value))

    def code(self, value: bytes | None) -> Code:
        """What a record of `discount-codes` holds.

        Raises:
            DecodeFailed, ValidationFailed: as `event`.
        """
        if value is None:
            raise ValidationFailed("no_value", "a code without a value")
        return code_of(self._codec.decode("discount_code", value))

    def claim(self, value: bytes | None) -> Claim:
        """What a record of `code-claims` holds.

        Raises:
            DecodeFailed, ValidationFailed: as `event`.
        """
        if value is None:
            raise ValidationFailed("no_value", "a claim without a value")
        return claim_of(self._codec.decode("code_claim", value))

    def claim_withdrawal(self, value: bytes | None) -> Withdrawal:
        """What a record of `claim-withdrawals` holds.

        Raises:
            DecodeFailed, ValidationFailed: as `event`.
        """
        if value is None:
            raise ValidationFailed("no_value", "a withdrawal without a value")
        return claim_withdrawal_of(self._codec.decode("claim_withdrawal", value))

    def withdrawal(self, value: bytes | None) -> WithdrawMail:
        """What a record of `email-withdrawals` holds.

        Raises:
            DecodeFailed, ValidationFailed: as `event`.
        """
        if value is None:
            raise ValidationFailed("no_value", "a withdrawal without a value")
        return withdrawal_of(self._codec.decode("withdrawal", value))

    # -- out -----------------------------------------------------------------------------------------------------------

    def output(self, effect: Effect, now: datetime) -> Output:
        """The record that gives an effect to whom it is for.

        Args:
            effect: any effect of the core.
            now: the clock of the batch, UTC.

        Raises:
            TypeError: an effect that this module does not know.
            ValueError: a field that its schema cannot hold.
            ValidationFailed: `too_large`.
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
            "order_placed_at": placed_at(command.context),
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
            reason, detail: of `DecodeFailed` or `ValidationFailed`, or of the stage; `detail` is cut at 1,000 characters.
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

    def popularity(self, counts: Counts, at: datetime) -> Output:
        """What a partition counts of a product at `at` (UTC), in the place of what it counted before."""
        key = counts_key(counts.sku, counts.partition)
        event_id = f"{key}@{at.isoformat(timespec='milliseconds')}"
        return self._record(topics.POPULARITY, "popularity", key, event_id, record_of(counts), at)

    def grant(self, grant: CodeGranted, now: datetime) -> Output:
        """What a pool gave; `now` is the clock of the batch, UTC."""
        value = self._write_grant(grant)
        return self._framed(topics.GRANTS, "code_grant", grant.customer_id, f"{grant.reward_id}.granted", value, now)

    def _schedule(self, effect: ScheduleStep, now: datetime) -> Output:
        value = self._write_schedule(effect)
        return self._framed(topics.DELAYS, "timer", effect.customer_id, effect.timer_id, value, now)

    def _send(self, effect: SendMail, now: datetime) -> Output:
        value = self._write_send(effect, orjson.dumps(effect.context), now)
        return self._framed(topics.COMMANDS, "email_command", effect.customer_id, f"{effect.send_id}.1", value, now)

    def _resend(self, effect: ResendMail, now: datetime) -> Output:
        # Encoded anew, not copied: the attempt is in it, and an old framing becomes today's.
        record = self._codec.decode("email_command", effect.command)
        record["attempt"] = effect.attempt
        event_id = f"{effect.send_id}.{effect.attempt}"
        return self._record(topics.COMMANDS, "email_command", effect.customer_id, event_id, record, now)

    def _decision(self, effect: LogDecision, now: datetime) -> Output:
        value = self._write_decision(effect)
        return self._framed(topics.DECISIONS, "flow_decision", effect.customer_id, effect.decision_id, value, now)

    def _attribute(self, effect: Attribute, now: datetime) -> Output:
        value = self._write_attribute(effect)
        return self._framed(
            topics.ATTRIBUTED, "attributed_engagement", effect.customer_id, effect.attribution_id, value, now
        )

    def _reward(self, effect: IssueReward, now: datetime) -> Output:
        value = self._write_reward(effect)
        return self._framed(topics.REWARDS, "reward", effect.customer_id, effect.reward_id, value, now)

    def _claim(self, effect: ClaimCode, now: datetime) -> Output:
        value = self._write_claim(effect)
        return self._framed(topics.CLAIMS, "code_claim", effect.pool, f"{effect.reward_id}.claimed", value, now)

    def _withdraw_claim(self, effect: WithdrawClaim, now: datetime) -> Output:
        value, event_id = self._write_claim_withdrawal(effect), f"{effect.reward_id}.withdrawn"
        return self._framed(topics.CLAIM_WITHDRAWALS, "claim_withdrawal", effect.pool, event_id, value, now)

    def _signal(self, effect: EmitSignal, now: datetime) -> Output:
        value = self._write_signal(effect)
        return self._framed(topics.SIGNALS, "signal", effect.customer_id, effect.signal_id, value, now)

    def _withdraw(self, effect: WithdrawMail, now: datetime) -> Output:
        value = self._write_withdrawal(effect)
        return self._framed(topics.WITHDRAWALS, "withdrawal", effect.customer_id, effect.withdrawal_id, value, now)

    def _sales(self, effect: CountSales, now: datetime) -> Output:
        return self._framed(topics.SALES, "sales", effect.customer_id, effect.sales_id, self._write_sales(effect), now)

    def _record(self, topic: str, schema: str, key: str, event_id: str, record: Record, at: datetime) -> Output:
        return self._framed(topic, schema, key, event_id, self._codec.encode(schema, record), at)

    def _framed(self, topic: str, schema: str, key: str, event_id: str, value: bytes, at: datetime) -> Output:
        if len(value) > MAX_RECORD:
            raise ValidationFailed("too_large", f"it makes a record of {len(value):,} bytes for {topic}")
        return topic, key.encode(), value, self._headers(schema, event_id, at)

    def _headers(self, schema: str, event_id: str, at: datetime) -> Headers:
        last, header = self._time
        if last != at:  # a batch has one clock: its text is made once
            header = ("ce_time", at.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode())
            self._time = (at, header)
        return [_SPECVERSION, self._types[schema], self._source, header, ("ce_id", event_id.encode()), _CONTENT_TYPE]


_SPECVERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/avro")
