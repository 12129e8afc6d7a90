"""Job `footprint`: bytes on disk per customer and per timer, with a million of each in the stores that a worker keeps them in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

from streams.core.engine import advance
from streams.core.model.customer import Customer, new_customer
from streams.core.model.customer_codec import encode_customer
from streams.core.model.effects import ScheduleTimer
from streams.definitions.loader import load_ruleset
from streams.runtime.processing.timers import pack, timer_key
from streams.runtime.state.store import Memory, PartitionStore
from streams.settings import load_settings
from streams.tools.local.shop.shop import Shop
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.bench.context import Context, Result

HELD = 1_000_000
#: Facts of the shop that make the customers: some 5,000 of them, new and returning; their states are used again under other names.
FACTS = 40_000
BATCH = 8_000


def run(context: Context) -> list[Result]:
    """Write them in batches as a worker does, let RocksDB come to rest, and look at the folder."""
    states, timers = made()
    sizes = [len(encode_customer(state)) for state in states]
    context.log(f"footprint: {HELD:,} customers like {len(states):,} of the shop, {HELD:,} timers like {len(timers):,}")
    rows = []
    for name, entries, raw in (
        ("customer", customers(states), sum(sizes) / len(sizes)),
        (
            "timer",
            scheduled(timers),
            sum(len(key) + len(value) for key, value in islice(scheduled(timers), 1000)) / 1000,
        ),
    ):
        folder = context.state / f"footprint-{name}"
        started = time.perf_counter()
        on_disk = stored(folder, entries)
        seconds = time.perf_counter() - started
        figures = {"disk_bytes_each": round(on_disk / HELD, 1), "encoded_bytes_each": round(raw, 1)}
        if name == "customer":
            figures["largest_encoded_bytes"] = max(sizes)
        rows.append(Result(f"footprint-{name}", "takk", round(HELD / seconds, 1), "", HELD, figures=figures))
    return rows


def made() -> tuple[list[Customer], list[tuple[bytes, bytes]]]:
    """Customers of the simulated shop some weeks after they came, and the delays (key, value) asked for on the way."""
    codec = open_codec()
    decoder, encoder, ruleset = Decoder(codec), Encoder(codec), load_ruleset(load_settings().templates_dir)
    states: dict[str, Customer] = {}
    delays: list[tuple[bytes, bytes]] = []
    start = datetime.now(UTC) - timedelta(days=30)
    for fact in islice(Shop(11, 0.01, 86_400.0).facts(start, 30 * 86_400.0), FACTS):
        raw = codec.encode(topics.SCHEMA_OF[fact.topic], fact.record)
        event = decoder.event(fact.topic, fact.key, raw, int(fact.at.timestamp() * 1000))
        name = event.customer_id
        states[name], effects = advance(ruleset, states.get(name) or new_customer(name), event, fact.at)
        for effect in effects:
            if isinstance(effect, ScheduleTimer):
                _, key, value, _ = encoder.effects.encode(effect, fact.at)
                delays.append((key, value or b""))
    return list(states.values()), delays


def customers(states: list[Customer]) -> Iterator[tuple[bytes, bytes]]:
    """`HELD` entries of the table of customers."""
    encoded = [encode_customer(state) for state in states]
    for number, raw in enumerate(islice(cycle(encoded), HELD)):
        yield b"customer-%08d" % (number * 7919 % HELD), raw


def scheduled(delays: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """`HELD` entries of the table of timers, due over a year."""
    begin = int(time.time() * 1000)
    for number, (key, value) in enumerate(islice(cycle(delays), HELD)):
        due = begin + number * 7919 % HELD * 31_536
        yield timer_key(due, b"%032x" % (number * 0x9E3779B97F4A7C15 % (1 << 128))), pack(key, value)


def stored(folder: Path, entries: Iterable[tuple[bytes, bytes]]) -> int:
    """Write the entries; the bytes of all files under `folder` once the store is closed."""
    store = PartitionStore(folder, Memory(256))
    waiting, position = iter(entries), 0
    while batch := dict(islice(waiting, BATCH)):
        position += len(batch)
        store.write(batch, position)
    store.close()
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
