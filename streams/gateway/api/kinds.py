"""The endpoints, and which topic each record goes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from streams.core.values.text import nearest
from streams.gateway.api.conversion import Convert, Issues, converter, symbols_of
from streams.gateway.api.json_text import shown
from streams.runtime.avro.schemas import load_schemas
from streams.wire import topics
from streams.wire.decode.events import EVENT_DECODERS
from streams.wire.decode.products import to_product
from streams.wire.validation import Record

#: Endpoint -> the topics of its records. A key needs the role of the same name.
ENDPOINTS: Mapping[str, tuple[str, ...]] = {
    "orders": (topics.ORDERS,),
    "shipments": (topics.SHIPMENTS,),
    "customers": (topics.CUSTOMERS,),
    "products": (topics.PRODUCTS,),
    "events": (topics.ENGAGEMENT, topics.BROWSING),
}
#: Values of fields that may be left out although the schemas have no default for them.
OPTIONAL: Mapping[str, Any] = {
    "Order.name": "",
    "Order.locale": "",
    "Order.ship_country": "",  # that of the buyer, see `Target.convert`
    "OrderLine.sku": "",
    "OrderLine.category": "",
    "Shipment.parcels_in_order": 1,
    "Shipment.tracking_number": "",
    "Shipment.tracking_url": "",
    "Shipment.lines": [],
    "Product.category": "",
    "Browsed.sku": "",
}


@dataclass(frozen=True)
class Target:
    """A topic, and how a JSON record becomes one of it.

    Attributes:
        topic: its name.
        schema: the Avro schema of its records.
        key: the field with the record's key.
        decode: checks a record as the workers do. The second argument is when it was written.
        kinds: the values of the field `kind`; empty if there is no such field.
    """

    topic: str
    schema: Mapping[str, Any]
    key: str
    decode: Callable[[Record, datetime | None], object]
    kinds: tuple[str, ...]
    _convert: Convert

    def convert(self, value: Any, issues: Issues) -> Record | None:
        """Return a JSON value as a record of the schema, or None with at least one issue."""
        record: Record = self._convert(value, "", issues)
        if issues:
            return None
        if self.topic == topics.ORDERS:
            record["ship_country"] = record["ship_country"] or record["country"]
        return record


def targets_of(schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Target, ...]]:
    """Return the targets of each endpoint, given the Avro schemas by name."""
    return {
        endpoint: tuple([_target(topic, schemas[topics.SCHEMA_OF[topic]]) for topic in names])
        for endpoint, names in ENDPOINTS.items()
    }


@lru_cache(maxsize=8)
def targets_in(schemas_dir: Path) -> dict[str, tuple[Target, ...]]:
    """Return the targets of each endpoint, given the folder of the schemas. Errors as `load_schemas`."""
    return targets_of(load_schemas(schemas_dir))


def _target(topic: str, schema: Mapping[str, Any]) -> Target:
    is_product = topic == topics.PRODUCTS
    kinds = [symbols_of(field["type"], field["doc"]) for field in schema["fields"] if field["name"] == "kind"]
    return Target(
        topic=topic,
        schema=schema,
        key="sku" if is_product else "customer_id",
        decode=_decode_product if is_product else EVENT_DECODERS[topic][1],
        kinds=tuple(kinds[0]) if kinds else (),
        _convert=converter(schema, OPTIONAL),
    )


def _decode_product(record: Record, written_at: datetime | None) -> object:
    return to_product(record)


def choose(targets: tuple[Target, ...], value: Any, issues: Issues) -> Target | None:
    """Return the target of a record by its field `kind`, or None with an issue."""
    if len(targets) == 1 or type(value) is not dict:
        return targets[0]
    kind = value.get("kind")
    known = [each for target in targets for each in target.kinds]
    if type(kind) is str and kind not in known:
        issues.add("kind", f"unknown value {shown(kind)}", nearest(kind[:40], known))
        return None
    return next((target for target in targets if kind in target.kinds), targets[0])
