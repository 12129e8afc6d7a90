"""Encoding of effects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from streams.core.model.effects import (
    Attribute,
    CancelTimers,
    ClaimCode,
    CountSales,
    Effect,
    EmitSignal,
    EndMail,
    ForgetCustomer,
    HandOver,
    IssueReward,
    LogDecision,
    NoteAddress,
    NoteInterest,
    ReleaseAlias,
    ResendMail,
    ScheduleTimer,
    SendMail,
    ShowCustomer,
    WithdrawClaim,
    WithdrawMail,
)
from streams.core.model.events import CodeGranted, ProductChanged
from streams.core.sending.content import template_data
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.addresses import AddressEncoder
from streams.wire.encode.customer_pages import CustomerPageEncoder
from streams.wire.encode.envelope import Envelope
from streams.wire.encode.handovers import HandoverEncoder


class EffectEncoder:
    """Encodes the effects of the core, and the codes that pools grant."""

    def __init__(self, codec: Codec, envelope: Envelope, addresses: AddressEncoder, handovers: HandoverEncoder) -> None:
        self._codec = codec
        self._envelope = envelope
        self._framed = envelope.framed
        self._write_schedule = codec.writer("timer", ScheduleTimer.__struct_fields__, {"kind": "step"})
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
        self._write_end = codec.writer("email_event", EndMail.__struct_fields__)
        self._write_sales = codec.writer("sales", CountSales.__struct_fields__)
        self._write_interest = codec.writer("product_interest", NoteInterest.__struct_fields__)
        self._write_product_change = codec.writer("product_change", ProductChanged.__struct_fields__)
        self._encoders: dict[type, Callable[[Any, datetime], ProducerRecord]] = {
            ScheduleTimer: self._schedule,
            CancelTimers: self._cancel,
            SendMail: self._send,
            ResendMail: self._resend,
            LogDecision: self._decision,
            Attribute: self._attribute,
            IssueReward: self._reward,
            ClaimCode: self._claim,
            WithdrawClaim: self._withdraw_claim,
            EmitSignal: self._signal,
            WithdrawMail: self._withdraw,
            EndMail: self._end,
            CountSales: self._sales,
            NoteInterest: self._interest,
            NoteAddress: addresses.event,
            HandOver: handovers.state,
            ReleaseAlias: handovers.release,
            ShowCustomer: CustomerPageEncoder(codec, envelope).page,
            ForgetCustomer: self._forget,
        }

    def encode(self, effect: Effect, now: datetime) -> ProducerRecord:
        """Encode an effect as a record.

        Args:
            effect: any effect of the core.
            now: the clock of the batch, UTC.

        Raises:
            TypeError: the effect has no topic.
            ValueError: a field does not fit the schema.
            ValidationFailed: `too_large`.
        """
        encode = self._encoders.get(type(effect))
        if encode is None:
            raise TypeError(f"no topic for {type(effect).__name__}")
        return encode(effect, now)

    def grant(self, grant: CodeGranted, now: datetime) -> ProducerRecord:
        """Encode a code that a pool granted. `now` is the clock of the batch, UTC."""
        value = self._write_grant(grant)
        return self._framed(topics.GRANTS, "code_grant", grant.customer_id, f"{grant.reward_id}.granted", value, now)

    def _schedule(self, effect: ScheduleTimer, now: datetime) -> ProducerRecord:
        value = self._write_schedule(effect)
        return self._framed(topics.DELAYS, "timer", effect.customer_id, effect.timer_id, value, now)

    def _cancel(self, effect: CancelTimers, now: datetime) -> ProducerRecord:
        # A record without a value: an older scheduler makes it a dead letter, and fires the timers, which then change nothing.
        headers = self._envelope.headers("timer", effect.cancellation_id, now)
        return ProducerRecord(topics.DELAYS, effect.customer_id.encode(), None, headers)

    def _send(self, effect: SendMail, now: datetime) -> ProducerRecord:
        value = self._write_send(effect, orjson.dumps(template_data(effect.content)), now)
        return self._framed(topics.COMMANDS, "email_command", effect.customer_id, f"{effect.send_id}.1", value, now)

    def command(self, record: dict[str, Any], now: datetime) -> ProducerRecord:
        """Encode a command that has the fields of its schema. `now` is the time of the header, UTC."""
        event_id = f"{record['send_id']}.{record['attempt']}"
        return self._envelope.record(topics.COMMANDS, "email_command", record["customer_id"], event_id, record, now)

    def _resend(self, effect: ResendMail, now: datetime) -> ProducerRecord:
        # Encoded again, not copied: the record holds the attempt, and an old framing becomes the current one.
        record = self._codec.decode("email_command", effect.command)
        record["attempt"] = effect.attempt
        return self.command(record, now)

    def _decision(self, effect: LogDecision, now: datetime) -> ProducerRecord:
        value = self._write_decision(effect)
        return self._framed(topics.DECISIONS, "flow_decision", effect.customer_id, effect.decision_id, value, now)

    def _attribute(self, effect: Attribute, now: datetime) -> ProducerRecord:
        value = self._write_attribute(effect)
        return self._framed(
            topics.ATTRIBUTED, "attributed_engagement", effect.customer_id, effect.attribution_id, value, now
        )

    def _reward(self, effect: IssueReward, now: datetime) -> ProducerRecord:
        value = self._write_reward(effect)
        return self._framed(topics.REWARDS, "reward", effect.customer_id, effect.reward_id, value, now)

    def _claim(self, effect: ClaimCode, now: datetime) -> ProducerRecord:
        value = self._write_claim(effect)
        return self._framed(topics.CLAIMS, "code_claim", effect.pool, f"{effect.reward_id}.claimed", value, now)

    def _withdraw_claim(self, effect: WithdrawClaim, now: datetime) -> ProducerRecord:
        value, event_id = self._write_claim_withdrawal(effect), f"{effect.reward_id}.withdrawn"
        return self._framed(topics.CLAIM_WITHDRAWALS, "claim_withdrawal", effect.pool, event_id, value, now)

    def _signal(self, effect: EmitSignal, now: datetime) -> ProducerRecord:
        value = self._write_signal(effect)
        return self._framed(topics.SIGNALS, "signal", effect.customer_id, effect.signal_id, value, now)

    def _withdraw(self, effect: WithdrawMail, now: datetime) -> ProducerRecord:
        value = self._write_withdrawal(effect)
        return self._framed(topics.WITHDRAWALS, "withdrawal", effect.customer_id, effect.withdrawal_id, value, now)

    def _end(self, effect: EndMail, now: datetime) -> ProducerRecord:
        value = self._write_end(effect)
        return self._framed(topics.EVENTS, "email_event", effect.customer_id, effect.event_id, value, now)

    def _forget(self, effect: ForgetCustomer, now: datetime) -> ProducerRecord:
        headers = self._envelope.headers("customer", effect.erasure_id, now)
        return ProducerRecord(topics.CUSTOMERS, effect.forgotten_id.encode(), None, headers)

    def _sales(self, effect: CountSales, now: datetime) -> ProducerRecord:
        return self._framed(topics.SALES, "sales", effect.customer_id, effect.sales_id, self._write_sales(effect), now)

    def _interest(self, effect: NoteInterest, now: datetime) -> ProducerRecord:
        value = self._write_interest(effect)
        return self._framed(topics.INTERESTS, "product_interest", effect.sku, effect.interest_id, value, now)

    def product_change(self, event: ProductChanged, now: datetime) -> ProducerRecord:
        """Encode the event of one customer about a change of the catalogue. `now` is the clock of the batch, UTC."""
        value, event_id = self._write_product_change(event), f"{event.change_id}/{event.customer_id}"
        return self._framed(topics.PRODUCT_CHANGES, "product_change", event.customer_id, event_id, value, now)
