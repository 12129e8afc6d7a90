"""The decoder of every topic that Takk reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from streams.core.model.address_state import Suppression
from streams.core.model.customer_page import CustomerPage
from streams.core.model.effects import NoteAddress, WithdrawMail
from streams.core.model.events import CustomerMerged, Event
from streams.core.model.person_events import CustomerErased, CustomerRequested, ProfileUpdated
from streams.core.model.product_events import NoteInterest
from streams.core.offers.catalogue import Product
from streams.core.offers.code_pool_records import Claim, Code, Withdrawal
from streams.core.offers.popularity import Change, Counts
from streams.mail.command import Command
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.errors import InvalidRecord
from streams.wire import topics
from streams.wire.decode.addresses import to_address_event, to_suppression
from streams.wire.decode.codes import to_claim, to_claim_withdrawal, to_code
from streams.wire.decode.commands import due_at_of, to_command, to_mail_withdrawal
from streams.wire.decode.customer_pages import to_customer_page
from streams.wire.decode.events import EVENT_DECODERS
from streams.wire.decode.handovers import handover_event
from streams.wire.decode.products import to_counts, to_dated_product, to_interest, to_product, to_sales_change
from streams.wire.decode.published_templates import PublishedTemplates, to_published_templates
from streams.wire.decode.refusals import REFUSING, refusal_of
from streams.wire.validation import EPOCH, LATEST, LATEST_MS, Record, ValidationFailed, parse_id, parse_time

T = TypeVar("T")
#: The time of a refusal if no time is known: no consent is newer, so it holds.
_LAST = LATEST - timedelta(milliseconds=1)


class Decoder:
    """Decodes records into events, commands and table rows. Every method raises the errors of `event`.

    Args:
        codec: the codec of the schemas, see `streams.wire.codec.open_codec`.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def event(self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int, now_ms: int = 0) -> Event:
        """Decode a record into an event. The caller checks that `key` matches the customer.

        A record that breaks a rule, but refuses emails, becomes an event of what it refuses: see `streams.wire.decode.refusals`.

        Args:
            topic: the record's topic: one in `EVENT_DECODERS`, or `customer-handovers`.
            key: the record's key.
            value: the record's value.
            timestamp_ms: the record's timestamp in ms since 1970; 0 or less if it has none.
            now_ms: the present time in ms since 1970, 0 if unknown. No profile is newer, and it is that of a refusal without a usable time.

        Returns:
            The event. A record without a value on `customers` erases the customer.

        Raises:
            DecodeFailed: `value` is not a record of the topic's schema.
            ValidationFailed: the record breaks a rule of `streams.wire.validation.RULES`.
        """
        if topic == topics.HANDOVERS:
            return self._handover(value, now_ms)
        try:
            schema, to_event = EVENT_DECODERS[topic]
        except KeyError:
            raise ValidationFailed("unknown_topic", f"no events are read from {topic}") from None
        if value is None and topic == topics.CUSTOMERS:
            return _erasure(key, timestamp_ms)
        written_at = _time_of(timestamp_ms)
        record: Record = {}
        try:
            record = self._record(schema, value)
            if not record["customer_id"]:
                raise ValidationFailed("no_customer", "customer_id is empty")
            parse_id(record, "customer_id")
            event = to_event(record, written_at)
        except (ValidationFailed, DecodeFailed) as error:
            if topic not in REFUSING or value is None:
                raise
            refusal = self._refusal(topic, schema, value, record, written_at or _time_of(now_ms) or _LAST)
            if refusal is None:
                raise error
            return refusal
        if isinstance(event, (ProfileUpdated, CustomerMerged, CustomerRequested)):
            # A clock that is ahead must not make a "yes" newer than a refusal that follows it.
            return _not_after(event, min(written_at or _LAST, _time_of(now_ms) or _LAST))
        return event

    def _handover(self, value: bytes | None, now_ms: int) -> Event:
        """Return the event of a record on `customer-handovers`, whose own record may be one of any other topic."""
        record = self._record("customer_handover", value)
        if not record["customer_id"]:
            raise ValidationFailed("no_customer", "customer_id is empty")
        parse_id(record, "customer_id")
        if record["topic"] == topics.HANDOVERS:
            raise ValidationFailed("unknown_topic", "a hand-over within a hand-over")
        return handover_event(record, partial(self.event, now_ms=now_ms))

    def _refusal(self, topic: str, schema: str, value: bytes, record: Record, at: datetime) -> Event | None:
        """Return the event of what a broken record refuses, or None. Only the writer's own schema has symbols that are unknown here."""
        try:
            record = self._codec.decode_as_written(schema, value)
        except DecodeFailed:
            if not record:
                return None
        try:
            return refusal_of(topic, record, at)
        except InvalidRecord:
            return None

    def command(self, value: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None = None) -> Command:
        """Decode a value of `email-commands`. The headers of the record only have the due time."""
        due_at = due_at_of(headers)
        return self._decode("email_command", value, lambda record: to_command(record, value or b"", due_at))

    def heartbeat(self, value: bytes | None) -> datetime:
        """Decode a value of `heartbeats` into the due time of the heartbeat, UTC."""
        return self._decode("heartbeat", value, lambda record: parse_time(record["due_at"], "due_at", None))

    def product(self, value: bytes | None) -> Product:
        """Decode a value of `products`."""
        return self._decode("product", value, to_product)

    def dated_product(self, value: bytes | None) -> tuple[Product, datetime]:
        """Decode a value of `products`, with the time (UTC) since when the product has its values."""
        return self._decode("product", value, to_dated_product)

    def interest(self, value: bytes | None) -> NoteInterest:
        """Decode a value of `product-interests`."""
        return self._decode("product_interest", value, to_interest)

    def counts(self, value: bytes | None) -> Counts:
        """Decode a value of `product-popularity`."""
        return self._decode("popularity", value, to_counts)

    def sales(self, value: bytes | None) -> Change:
        """Decode a value of `product-sales`."""
        return self._decode("sales", value, to_sales_change)

    def code(self, value: bytes | None) -> Code:
        """Decode a value of `discount-codes`."""
        return self._decode("discount_code", value, to_code)

    def claim(self, value: bytes | None) -> Claim:
        """Decode a value of `code-claims`."""
        return self._decode("code_claim", value, to_claim)

    def claim_withdrawal(self, value: bytes | None) -> Withdrawal:
        """Decode a value of `claim-withdrawals`."""
        return self._decode("claim_withdrawal", value, to_claim_withdrawal)

    def withdrawal(self, value: bytes | None) -> WithdrawMail:
        """Decode a value of `email-withdrawals`."""
        return self._decode("withdrawal", value, to_mail_withdrawal)

    def address_event(self, value: bytes | None) -> NoteAddress:
        """Decode a value of `address-events`."""
        return self._decode("address_event", value, to_address_event)

    def suppression(self, value: bytes | None) -> tuple[str, Suppression]:
        """Decode a value of `suppressions` into the hash of the address and what mailers must know of it."""
        return self._decode("suppression", value, to_suppression)

    def customer_page(self, value: bytes | None) -> CustomerPage:
        """Decode a value of `customer-pages`."""
        return self._decode("customer_page", value, to_customer_page)

    def published_templates(self, value: bytes | None) -> PublishedTemplates:
        """Decode a value of `published-templates`."""
        return self._decode("published_templates", value, to_published_templates)

    def _decode(self, schema: str, value: bytes | None, parse: Callable[[Record], T]) -> T:
        return parse(self._record(schema, value))

    def _record(self, schema: str, value: bytes | None) -> Record:
        if value is None:
            raise ValidationFailed("no_value", f"a record of {schema} without a value")
        return self._codec.decode(schema, value)


def _not_after(event: ProfileUpdated | CustomerMerged | CustomerRequested, latest: datetime) -> Event:
    if event.occurred_at <= latest:
        return event
    if not isinstance(event, ProfileUpdated) and event.profile is not None:
        event = replace(event, profile=replace(event.profile, occurred_at=latest))
    return replace(event, occurred_at=latest)


def _time_of(timestamp_ms: int) -> datetime | None:
    """Return the time of a timestamp, UTC. A producer may set any: an impossible one, which is None, does not limit the times in the record."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC) if 0 < timestamp_ms < LATEST_MS else None


def _erasure(key: bytes | None, timestamp_ms: int) -> CustomerErased:
    """Return the event of a tombstone on `customers`. The key names the customer.

    Raises:
        ValidationFailed: `no_customer`, `bad_id`.
    """
    if not key:
        raise ValidationFailed("no_customer", "a deleted customer without a key")
    try:
        record = {"customer_id": key.decode()}
    except UnicodeDecodeError:
        raise ValidationFailed("bad_id", "the key of a deleted customer is not UTF-8") from None
    customer_id = parse_id(record, "customer_id")
    return CustomerErased(customer_id=customer_id, occurred_at=_time_of(timestamp_ms) or EPOCH)
