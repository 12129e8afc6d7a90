"""Rows of an earlier system to records of Takk's topics, marked as imported so that nobody is mailed about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from streams.addresses import parse_address
from streams.core.values.addresses import guest_id
from streams.runtime.avro.codec import Codec
from streams.tools.operations.importing.fields import RowInvalid, amount, completed, convert, map_value, types_of
from streams.tools.operations.importing.mapping import ImportMapping, Source
from streams.wire import topics
from streams.wire.decode.events import EVENT_DECODERS
from streams.wire.decode.products import to_product
from streams.wire.validation import ValidationFailed, parse_id

_MINOR = "_minor"
CUSTOMER_ID, EMAIL = "customer_id", "email"
#: Customer ids of guests: none, and the 0 of WooCommerce and BigCommerce.
NO_CUSTOMER = frozenset((None, "", "0"))


class Kind(NamedTuple):
    """A kind of rows.

    Attributes:
        topic: the topic of its records.
        schema: their schema.
        key: the field of the record key.
        event: the field that says what happened; "" if there is only one kind of event.
        times: for each column of a time the event that it stands for: a row may have several, and gives a record for each.
    """

    topic: str
    schema: str
    key: str
    event: str = ""
    times: Mapping[str, str] = MappingProxyType({})


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "orders": Kind(
            topics.ORDERS,
            "order",
            "customer_id",
            "kind",
            {"placed_at": "placed", "paid_at": "paid", "cancelled_at": "cancelled", "refunded_at": "refunded"},
        ),
        "shipments": Kind(
            topics.SHIPMENTS,
            "shipment",
            "customer_id",
            "status",
            {"shipped_at": "shipped", "delivered_at": "delivered", "returned_at": "returned"},
        ),
        "customers": Kind(topics.CUSTOMERS, "customer", "customer_id"),
        "products": Kind(topics.PRODUCTS, "product", "sku"),
    }
)
#: The kinds of rows that a simulation reads.
ROW_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **{name: kind for name, kind in KINDS.items() if name != "products"},
        "engagement": Kind(topics.ENGAGEMENT, "engagement", "customer_id", "kind"),
        "browsing": Kind(topics.BROWSING, "browsing", "customer_id", "kind"),
        "pressure": Kind(topics.PRESSURE, "contact_pressure", "customer_id", "kind"),
    }
)


class RecordBuilder:
    """Builds the records of rows.

    Args:
        kind: a name in `KINDS` or `ROW_KINDS`.
        schema: the schema of the records.
        mapping: the sources of the fields.
        currency: the shop's currency, where a row has none.
        codec: checks that a record can be written.
        now: the present, UTC.
        guest_key: the key of the ids of guests, or b"": then each row needs a customer id.
        is_past: whether the records are marked as imported, so that no flow starts by them.
    """

    def __init__(
        self,
        kind: str,
        schema: Mapping[str, Any],
        mapping: ImportMapping,
        currency: str,
        codec: Codec,
        now: datetime,
        guest_key: bytes = b"",
        *,
        is_past: bool = True,
    ) -> None:
        self.kind = KINDS.get(kind) or ROW_KINDS[kind]
        self._name, self._is_past = kind, is_past
        self.types = types_of(schema)
        self._schema, self._mapping, self._currency, self._codec, self._now = schema, mapping, currency, codec, now
        self._guest_key = guest_key
        self._line_schema: Mapping[str, Any] = self.types["lines"]["items"] if "lines" in self.types else {"fields": []}

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that a row may have: those of the schema, the times of further events, and the address of a guest."""
        return tuple(dict.fromkeys([*self.types, *self.kind.times, *self._address_fields]))

    @property
    def _address_fields(self) -> tuple[str, ...]:
        """The field of a guest's address, which the schema of parcels does not have."""
        return (EMAIL,) if self.kind.key == CUSTOMER_ID else ()

    @property
    def line_fields(self) -> tuple[str, ...]:
        """The fields that a line may have."""
        return tuple(types_of(self._line_schema))

    @property
    def maps(self) -> tuple[str, ...]:
        """The fields that are open maps. A row may have a column for each of their values, such as `attributes.size`."""
        return tuple([name for name, kind in self.types.items() if isinstance(kind, dict) and kind["type"] == "map"])

    @property
    def mapped_columns(self) -> set[str]:
        """The columns that the mapping names."""
        return {source.column for source in (*self._mapping.fields.values(), *self._mapping.lines.values())}

    def with_mapping(self, mapping: ImportMapping) -> RecordBuilder:
        """Return a builder with another mapping."""
        return RecordBuilder(
            self._name,
            self._schema,
            mapping,
            self._currency,
            self._codec,
            self._now,
            self._guest_key,
            is_past=self._is_past,
        )

    def order_of(self, values: Mapping[str, Any]) -> str:
        """Return the order that a row is a line of; "" if each row is complete."""
        if not self._mapping.lines:
            return ""
        source = self._source("order_id", values)
        return str(self._value(values, "order_id", source) or "") if source is not None else ""

    def records(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[dict[str, Any], bytes]]:
        """Return the records of a row, or of the rows of one order, each with its encoded value.

        Raises:
            RowInvalid: a value is missing or invalid, or a record breaks a rule.
        """
        values = self._converted(rows[0])
        self._identify(values, rows[0])
        if self._mapping.lines:
            values["lines"] = [self._line(row, str(values.get("currency", ""))) for row in rows]
        return [(record, self._checked(record)) for record in self._events(values)]

    def _converted(self, row: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        amounts: dict[str, tuple[Any, Source]] = {}
        for field in self.fields:
            source = self._source(field, row)
            if source is None or (field == EMAIL and EMAIL not in self.types):
                continue
            raw = self._value(row, field, source)
            if source.decimal and raw not in (None, ""):
                amounts[field] = raw, source
                continue
            kind = self.types.get(field, {"type": "long", "logicalType": "timestamp-millis"})
            value = convert(raw, kind, field, source)
            if value is not None:
                values[field] = value
        for field in dict.fromkeys([*self._mapping.fields, *row]) if self.maps else ():
            name, _, key = str(field).partition(".")
            if name in self.maps and key and (source := self._source(field, row)) is not None:
                value = map_value(self._value(row, field, source), field, source)
                if value is not None:
                    values[name] = {**values.get(name, {}), key: value}
        if "currency" in self.types:
            values.setdefault("currency", self._currency)
        currency = str(values.get("currency", self._currency))
        for field, (raw, source) in amounts.items():
            values[field] = amount(raw, currency, field, source)
        return values

    def _identify(self, values: dict[str, Any], row: Mapping[str, Any]) -> None:
        """Give a row without a customer id that of a guest with its address.

        Raises:
            RowInvalid: `no_customer`, if the row has an address, but there is no key.
        """
        if self.kind.key != CUSTOMER_ID or values.get(CUSTOMER_ID) not in NO_CUSTOMER:
            return
        source = self._source(EMAIL, row)
        address = parse_address(str(self._value(row, EMAIL, source) or "")) if source is not None else None
        if address is None:
            return
        if not self._guest_key:
            detail = "no customer_id (hint: set TAKK_ADDRESS_SECRET, from which the id of a guest is derived)"
            raise RowInvalid("no_customer", detail)
        values[CUSTOMER_ID] = guest_id(self._guest_key, address)

    def _line(self, row: Mapping[str, Any], currency: str) -> dict[str, Any]:
        line: dict[str, Any] = {}
        kinds = types_of(self._line_schema)
        for field, source in self._mapping.lines.items():
            raw = self._value(row, f"lines.{field}", source)
            is_amount = source.decimal and raw not in (None, "")
            value = amount(raw, currency, field, source) if is_amount else convert(raw, kinds[field], field, source)
            if value is not None:
                line[field] = value
        return completed(line, self._line_schema, "lines")

    def _source(self, field: str, row: Mapping[str, Any]) -> Source | None:
        """Return the source of a field: the mapping's, else the column of its name. The column `total` has major units of `total_minor`."""
        if field in self._mapping.fields:
            return self._mapping.fields[field]
        if field in row:
            return Source(column=field)
        major = field.removesuffix(_MINOR)
        return Source(column=major, decimal=".") if major != field and major in row else None

    @staticmethod
    def _value(row: Mapping[str, Any], field: str, source: Source) -> Any:
        value = row.get(source.column) if source.column else source.value
        if value is None or (isinstance(value, str) and not value.strip()):
            return source.default
        if source.values is None:
            return value
        key = str(value).strip()
        if key not in source.values:
            raise RowInvalid("unknown_value", f"{field}: the text of the column is not among `values` of the mapping")
        return source.values[key]

    def _events(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the record of each event of a row, the oldest first."""
        if "is_imported" in self.types and self._is_past:
            values["is_imported"] = True
        self._fill(values)
        event = self.kind.event
        if not event:
            return [completed(values, self._schema)]
        if event in values:
            values.setdefault("occurred_at", values.get("placed_at"))
            return [completed(values, self._schema)]
        times = [(values[field], happened) for field, happened in self.kind.times.items() if field in values]
        if not times:
            raise RowInvalid("missing_field", f"one of {event}, {', '.join(self.kind.times)} is needed")
        return [
            completed({**values, event: happened, "occurred_at": at}, self._schema)
            for at, happened in sorted(times, key=lambda item: item[0])
        ]

    def _fill(self, values: dict[str, Any]) -> None:
        """Add what follows from other fields."""
        if self.kind.schema == "order":
            values.setdefault("country", "")
            values.setdefault("ship_country", values["country"])
            values.setdefault("total_minor", _sum_of(values))
        elif self.kind.schema == "shipment":
            values.setdefault("parcel_id", values.get("order_id"))
            values.setdefault("parcels_in_order", 1)

    def _checked(self, record: dict[str, Any]) -> bytes:
        """Return the encoded record.

        Raises:
            RowInvalid: it breaks a rule, or does not fit its schema.
        """
        try:
            parse_id(record, self.kind.key)
            check: Callable[..., Any] = to_product
            if self.kind.topic in EVENT_DECODERS:
                EVENT_DECODERS[self.kind.topic][1](record, self._now)
            else:
                check(record)
            return self._codec.encode(self.kind.schema, record)
        except ValidationFailed as error:
            raise RowInvalid(error.rule, error.detail) from error
        except (ValueError, TypeError) as error:
            raise RowInvalid("not_avro", "a value does not fit the type of its field") from error


def _sum_of(values: Mapping[str, Any]) -> int | None:
    """Return the total that follows from the lines and the discount; None without lines."""
    lines = values.get("lines") or []
    if not lines:
        return None
    total = sum(line["quantity"] * line["unit_price_minor"] for line in lines) - int(values.get("discount_minor") or 0)
    return max(0, int(total))
