"""The past of a shop, to simulate flows on: its events in the order of time, from Avro files or from Kafka topics."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import fastavro
from fastavro.read import SchemaResolutionError
from msgspec import Struct, field

from streams.core.model.events import Event
from streams.core.offers.catalogue import Catalogue, Product
from streams.core.offers.product_changes import ProductVersion, version_of
from streams.core.values.text import plain
from streams.runtime.avro.container import Container, InvalidContainer
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.avro.safety import UnsafeSchema
from streams.runtime.kafka.topic_reader import read_to_the_end
from streams.settings import Settings
from streams.wire import topics
from streams.wire.codec import SCHEMAS, codec_of
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.events import EVENT_DECODERS
from streams.wire.decode.products import to_dated_product
from streams.wire.validation import ValidationFailed, parse_id

#: The topics that shops and other systems write; Takk writes the others.
TOPICS = (topics.ORDERS, topics.SHIPMENTS, topics.ENGAGEMENT, topics.CUSTOMERS, topics.BROWSING, topics.PRESSURE)


#: Records between two progress calls.
_STEP = 5_000


class History(Struct):
    """Events in the order of time.

    Attributes:
        events: (time, event) pairs.
        invalid: number of invalid records by reason.
    """

    events: list[tuple[datetime, Event]]
    invalid: Counter[str] = field(default_factory=Counter)

    def add(self, events: Iterable[Event], invalid: Counter[str]) -> None:
        """Add events from elsewhere, and the number of invalid ones by reason."""
        self.events.extend((event.occurred_at, event) for event in events)
        self.invalid += invalid
        _sorted(self)


class HistoryError(ValueError):
    """A file that cannot be used. The message names the file, the reason and what is expected."""


def from_files(
    paths: Iterable[Path],
    schemas: Path = SCHEMAS,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> History:
    """Return the history that Avro container files contain.

    Args:
        paths: the files. Each has one kind of record: orders, shipments, engagement, customers, browsing or contact pressure.
        schemas: the directory of the current schemas.
        on_progress: called with the bytes read so far and the size of the file.

    Raises:
        HistoryError: a file is not readable, or has another kind of record.
    """
    parsed = {
        topic: json.loads((schemas / f"{topics.SCHEMA_OF[topic]}.avsc").read_text(encoding="utf-8")) for topic in TOPICS
    }
    by_name = {schema["name"]: topic for topic, schema in parsed.items()}
    schema_of = {schema["name"]: schema for schema in parsed.values()}
    history = History([])
    for path in paths:
        for name, record in _records(path, schema_of, on_progress):
            _add(history, by_name[name], record)
    return _sorted(history)


def _add(history: History, topic: str, record: Any) -> None:
    try:
        if not record["customer_id"]:
            raise ValidationFailed("no_customer", "customer_id is empty")
        parse_id(record, "customer_id")
        event = EVENT_DECODERS[topic][1](record, None)
    except ValidationFailed as error:
        history.invalid[error.rule] += 1
    else:
        history.events.append((event.occurred_at, event))


def from_topics(settings: Settings, *, on_progress: Callable[[int, int], None] = lambda done, total: None) -> History:
    """Return the history that the cluster's topics contain now.

    Raises:
        KafkaException: the cluster is not reachable, or a topic is missing.
        TimeoutError: the broker does not answer.
    """
    decoder = Decoder(codec_of(settings))
    history = History([])
    for message in read_to_the_end(
        settings.kafka(), TOPICS, group_id=settings.reader_group_id, on_progress=on_progress
    ):
        try:
            event = decoder.event(message.topic(), message.key(), message.value(), message.timestamp()[1])
        except (ValidationFailed, DecodeFailed) as error:
            history.invalid[error.reason] += 1
        else:
            history.events.append((event.occurred_at, event))
    return _sorted(history)


class Products(Struct):
    """The products of a shop.

    Attributes:
        catalogue: the last record of each.
        versions: the versions in all records, in the order of time. A compacted topic has few versions besides the last ones.
        invalid: number of invalid records by reason.
    """

    catalogue: Catalogue = field(default_factory=Catalogue)
    versions: list[ProductVersion] = field(default_factory=list)
    invalid: Counter[str] = field(default_factory=Counter)


def products_from_file(path: Path, schemas: Path = SCHEMAS) -> Products:
    """Return the products of an Avro container file.

    Raises:
        HistoryError: the file is not readable, or has another kind of record.
    """
    schema = json.loads((schemas / "product.avsc").read_text(encoding="utf-8"))
    products = Products()
    for number, (_, record) in enumerate(_records(path, {schema["name"]: schema})):
        _put(products, number, record["sku"], partial(to_dated_product, record))
    return _with_sorted_versions(products)


def products_from_topic(
    settings: Settings, *, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Products:
    """Return the products of the cluster's topic `products`.

    Raises:
        KafkaException: the cluster is not reachable, or the topic is missing.
        TimeoutError: the broker does not answer.
    """
    decoder = Decoder(codec_of(settings))
    return products_of(
        decoder,
        read_to_the_end(
            settings.kafka(), (topics.PRODUCTS,), group_id=settings.reader_group_id, on_progress=on_progress
        ),
    )


def products_of(decoder: Decoder, messages: Iterable[Any]) -> Products:
    """Return the products that records of the topic `products` define, as the mailer applies them."""
    products = Products()
    for message in messages:
        sku, value = (message.key() or b"").decode("utf-8", "replace"), message.value()
        if value is None:
            products.catalogue.remove(sku)
        else:
            _put(products, message.offset(), sku, partial(decoder.dated_product, value))
    return _with_sorted_versions(products)


def _put(products: Products, offset: int, sku: str, decode: Callable[[], tuple[Product, datetime]]) -> None:
    """Add a product, or replace it. An invalid record removes the product that it replaces, as in the mailer."""
    try:
        product, updated_at = decode()
        if product.sku != sku:
            raise ValidationFailed("bad_id", "the key is not the record's sku")
    except (ValidationFailed, DecodeFailed) as error:
        products.catalogue.remove(sku)
        products.invalid[error.reason] += 1
    else:
        products.catalogue.put(product)
        products.versions.append(version_of(product, updated_at, offset))


def _with_sorted_versions(products: Products) -> Products:
    products.versions.sort(key=lambda version: version.updated_at)
    return products


def _records(
    path: Path,
    schemas: Mapping[str, Any],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[str, Any]]:
    """Yield the records of an Avro container file, each with the name of its schema.

    Args:
        path: the file.
        schemas: the expected schemas, by name.
        on_progress: called with the bytes read so far and the size of the file.

    Raises:
        HistoryError: the file is not readable, or has another schema.
    """
    try:
        with path.open("rb") as file:
            container = Container(file)
            name = _kind_of(container.schema)
            if name in schemas:
                for number, record in enumerate(container.records(schemas[name]), 1):
                    if number % _STEP == 0:
                        on_progress(file.tell(), path.stat().st_size)
                    yield name, record
                return
    except OSError as error:
        raise HistoryError(f"cannot read {path}: {error.strerror}") from error
    except SchemaResolutionError as error:
        raise HistoryError(
            f"{path}: the file's schema does not match the one in schemas/ ({error}). Write the file with that schema."
        ) from error
    except (InvalidContainer, UnsafeSchema) as error:
        raise HistoryError(f"{path}: not a readable Avro container file: {error}. Is the file complete?") from error
    except Exception as error:  # fastavro, zlib and json raise many kinds of errors for invalid bytes
        raise HistoryError(
            f"{path}: not a readable Avro container file ({type(error).__name__}: {error}). Is the file complete?"
        ) from error
    raise HistoryError(f"{path}: the records are of type {name}; expected {', '.join(sorted(schemas))}")


def _kind_of(schema: Any) -> str:
    """Return the name of the type of a file's records, without its namespace."""
    return plain(
        str(schema["name"]).rpartition(".")[2] if isinstance(schema, dict) and "name" in schema else str(schema)
    )


def _sorted(history: History) -> History:
    # The sort is stable: events of the same time keep the order in which they were read.
    history.events.sort(key=lambda event: event[0])
    return history


def write_file(path: Path, topic: str, records: Iterable[Mapping[str, Any]], schemas: Path = SCHEMAS) -> None:
    """Write decoded records of one topic to an Avro container file, which `from_files` can read."""
    schema = json.loads((schemas / f"{topics.SCHEMA_OF[topic]}.avsc").read_text(encoding="utf-8"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), records, codec="deflate")
