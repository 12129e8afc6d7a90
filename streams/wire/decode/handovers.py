"""Records of `customer-handovers`: the state of a customer who was merged, the records of an alias, and the end of an alias."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from streams.core.handlers.merges import readdressed
from streams.core.model.customer import Customer
from streams.core.model.customer_codec import VERSION, decode_customer
from streams.core.model.events import AliasReleased, Event, Forwarded, HandedOver
from streams.core.model.versioned_codec import UnknownVersion
from streams.core.values.local_time import utc_from_ms
from streams.wire.validation import LATEST_MS, Record, ValidationFailed, parse_id, parse_time

#: How many versions newer a state may be so that another Takk can have written it. Any other version is that of damaged bytes.
MOST_VERSIONS_AHEAD = 8
#: Customer ids that a record may pass through. Aliases of aliases are rare, and a longer path is a circle that did not end.
MAX_PATH = 32


def handover_event(record: Record, decode: Callable[[str, bytes, bytes | None, int], Event]) -> Event:
    """Return the event of a hand-over.

    Args:
        record: the decoded record.
        decode: returns the event of a record of another topic: (topic, key, value, timestamp in ms since 1970).

    Raises:
        ValidationFailed: `merge_loop`, `bad_handover`, or an error of the record within.
        UnknownVersion: a newer Takk wrote the state. The worker must end, as with a newer state in its table: its successor reads the
            record, and as a dead letter the customer's state would be missing until somebody replays it.
    """
    customer_id, kind, path = record["customer_id"], record["kind"], tuple(record["path"])
    if not path or len(path) > MAX_PATH:
        raise ValidationFailed(
            "merge_loop", f"it has passed through {len(path)} customer ids, 1 to {MAX_PATH} are allowed"
        )
    for each in path:
        parse_id({"path": each}, "path")
    if kind == "record":
        written_ms = _ms_of(record["occurred_at"])
        event = decode(record["topic"], path[0].encode(), record["value"], written_ms)
        return Forwarded(
            customer_id=customer_id,
            event=readdressed(event, customer_id),
            path=path,
            occurred_at=event.occurred_at,
            written_at=utc_from_ms(written_ms),
        )
    at = parse_time(record["occurred_at"], "occurred_at", None)
    if kind == "state":
        return HandedOver(
            customer_id=customer_id,
            handover_id=parse_id(record, "handover_id"),
            state=_state(record),
            path=path,
            occurred_at=at,
        )
    if kind != "release":
        raise ValidationFailed("unknown_kind", "unknown kind of a hand-over")
    return AliasReleased(customer_id=customer_id, erased_ids=path, state=_state(record), occurred_at=at)


def _ms_of(value: object) -> int:
    """Return a timestamp of Kafka, which may be any time, in ms since 1970; 0 for one that no record can have."""
    if isinstance(value, datetime):
        value = round(value.timestamp() * 1000)
    return value if isinstance(value, int) and 0 < value < LATEST_MS else 0


def _state(record: Record) -> Customer:
    if record["state"] is None:
        raise ValidationFailed("bad_handover", "a hand-over without a state")
    try:
        return decode_customer(record["state"])
    except UnknownVersion as error:
        if record["state"] and VERSION < record["state"][0] <= VERSION + MOST_VERSIONS_AHEAD:
            raise
        raise ValidationFailed("bad_handover", "the state has an unknown version") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise ValidationFailed("bad_handover", f"the state cannot be decoded: {type(error).__name__}") from error
