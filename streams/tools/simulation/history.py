"""What happened in a shop, to be played again: facts in the order of time, from Avro files or from Kafka's topics."""

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
from streams.core.values.text import plain
from streams.runtime.avro.codec import DecodeFailed
from streams.runtime.kafka.topic_reader import read_to_the_end
from streams.settings import Settings
from streams.wire import topics
from streams.wire.codec import SCHEMAS, open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.events import EVENT_DECODERS
from streams.wire.decode.products import to_product
from streams.wire.validation import ValidationFailed, parse_id

#: The topics that hold what came from outside; the others are what Takk made of it.
TOPICS = (topics.ORDERS, topics.SHIPMENTS, topics.ENGAGEMENT, topics.CUSTOMERS, topics.BROWSING, topics.PRESSURE)


#: Records between two calls for progress.
_STEP = 5_000


class History(Struct):
    """Facts with the time at which they occurred, in that order; and what was no fact, counted by the rule that it breaks."""

    events: list[tuple[datetime, Event]]
    invalid: Counter[str] = field(default_factory=Counter)


class HistoryError(ValueError):
    """A file that is no history: which, why, and what would be right."""


def from_files(
    paths: Iterable[Path],
    schemas: Path = SCHEMAS,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> History:
    """The history in Avro container files, each of one kind of record: orders, shipments, engagement, customers, browsing or contact pressure.

    Args:
        paths: the files.
        schemas: the folder of today's schemas.
        on_progress: hears of bytes done and in all, of each file.

    Raises:
        HistoryError: a file that cannot be read, or whose records are of no kind that flows know.
    """
    parsed = {
        topic: json.loads((schemas / f"{topics.SCHEMA_OF[topic]}.avsc").read_text(encoding="utf-8")) for topic in TOPICS
    }
    by_name = {schema["name"]: topic for topic, schema in parsed.items()}
    known = {schema["name"]: schema for schema in parsed.values()}
    history = History([])
    for path in paths:
        for name, record in _records(path, known, "a history is", on_progress):
            _take(history, by_name[name], record)
    return _sorted(history)


def _take(history: History, topic: str, record: Any) -> None:
    try:
        if not record["customer_id"]:
            raise ValidationFailed("no_customer", "customer_id is empty")
        parse_id(record, "customer_id")
        event = EVENT_DECODERS[topic][1](record, None)
    except ValidationFailed as broken:
        history.invalid[broken.rule] += 1
    else:
        history.events.append((event.occurred_at, event))


def from_topics(settings: Settings, *, on_progress: Callable[[int, int], None] = lambda done, total: None) -> History:
    """The history that lies on the cluster's topics now.

    Raises:
        KafkaException, TimeoutError: as `read_to_the_end`.
    """
    decoder = Decoder(open_codec(settings.schema_registry_url, schemas=settings.schemas_dir))
    history = History([])
    for message in read_to_the_end(
        settings.kafka(), TOPICS, group_id=settings.reader_group_id, on_progress=on_progress
    ):
        try:
            event = decoder.event(message.topic(), message.key(), message.value(), message.timestamp()[1])
        except (ValidationFailed, DecodeFailed) as broken:
            history.invalid[broken.reason] += 1
        else:
            history.events.append((event.occurred_at, event))
    return _sorted(history)


def products_from_file(path: Path, schemas: Path = SCHEMAS) -> tuple[Catalogue, Counter[str]]:
    """The products in an Avro container file, the last record of each, and what was no product, counted by the rule that it breaks.

    Raises:
        HistoryError: a file that cannot be read, or that is not of products.
    """
    schema = json.loads((schemas / "product.avsc").read_text(encoding="utf-8"))
    catalogue, broken = Catalogue(), Counter[str]()
    for _, record in _records(path, {schema["name"]: schema}, "products are"):
        _stock(catalogue, broken, record["sku"], partial(to_product, record))
    return catalogue, broken


def products_from_topic(
    settings: Settings, *, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Catalogue, Counter[str]]:
    """The products that lie on the cluster's topic `products` now, and what was no product there, counted by the rule that it breaks.

    Raises:
        KafkaException, TimeoutError: as `read_to_the_end`.
    """
    decoder = Decoder(open_codec(settings.schema_registry_url, schemas=settings.schemas_dir))
    return products_of(
        decoder,
        read_to_the_end(
            settings.kafka(), (topics.PRODUCTS,), group_id=settings.reader_group_id, on_progress=on_progress
        ),
    )


def products_of(decoder: Decoder, messages: Iterable[Any]) -> tuple[Catalogue, Counter[str]]:
    """The products that records of the topic `products` leave, and those that were not believed, as the mailer takes them in."""
    catalogue, broken = Catalogue(), Counter[str]()
    for message in messages:
        sku, value = (message.key() or b"").decode("utf-8", "replace"), message.value()
        if value is None:
            catalogue.remove(sku)
        else:
            _stock(catalogue, broken, sku, partial(decoder.product, value))
    return catalogue, broken


def _stock(catalogue: Catalogue, broken: Counter[str], sku: str, made: Callable[[], Product]) -> None:
    """Take a product in; a record that breaks a rule takes out what it replaces, as it does for the mailer."""
    try:
        product = made()
        if product.sku != sku:
            raise ValidationFailed("bad_id", "the key is not the record's sku")
    except (ValidationFailed, DecodeFailed) as error:
        catalogue.remove(sku)
        broken[error.reason] += 1
    else:
        catalogue.put(product)


def _records(
    path: Path,
    schemas: Mapping[str, Any],
    wanted: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[str, Any]]:
    """The records of an Avro container file, each with the name of its schema, which has to be one of `schemas`. Raises HistoryError."""
    try:
        with path.open("rb") as file:
            name = _kind_of(fastavro.reader(file))
            if name in schemas:
                file.seek(0)
                for number, record in enumerate(fastavro.reader(file, schemas[name]), 1):
                    if number % _STEP == 0:
                        on_progress(file.tell(), path.stat().st_size)
                    yield name, record
                return
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read: {error.strerror}") from error
    except SchemaResolutionError as error:
        raise HistoryError(
            f"{path}: its schema does not fit the one in schemas/ ({error}); write it with that one"
        ) from error
    except (
        Exception
    ) as error:  # whatever fastavro, zlib and json say of bytes that are none of theirs; nothing else runs in here
        raise HistoryError(
            f"{path}: no Avro container file that can be read ({type(error).__name__}: {error}); is it whole? `avro-tools` and fastavro "
            "write them"
        ) from error
    raise HistoryError(f"{path}: records of {name}; {wanted} of {', '.join(sorted(schemas))}")


def _kind_of(reader: Any) -> str:
    """The name of what the file's records are, without its namespace."""
    schema = reader.writer_schema
    return plain(
        str(schema["name"]).rpartition(".")[2] if isinstance(schema, dict) and "name" in schema else str(schema)
    )


def _sorted(history: History) -> History:
    # Of facts of the same moment those that were read first come first.
    history.events.sort(key=lambda fact: fact[0])
    return history


def write_file(path: Path, topic: str, records: Iterable[Mapping[str, Any]], schemas: Path = SCHEMAS) -> None:
    """Write decoded records of one topic into an Avro container file that `from_files` reads."""
    schema = json.loads((schemas / f"{topics.SCHEMA_OF[topic]}.avsc").read_text(encoding="utf-8"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), records, codec="deflate")
