"""Job `footprint`: bytes on disk per customer and per timer, with a million of each in a worker's stores."""

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
from streams.tools.local.shop.shop import Shop
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.bench.context import Context, Result, bench_templates

ENTRIES = 1_000_000
#: Events of the simulated shop. They make about 5,000 new and returning customers, whose states are repeated under other ids.
EVENTS = 40_000
BATCH = 8_000


def run(context: Context) -> list[Result]:
    """Write the entries in batches, as a worker does, and measure the files of the closed store."""
    states, timers = customers_and_timers()
    sizes = [len(encode_customer(state)) for state in states]
    context.log(
        f"footprint: {ENTRIES:,} customers and timers, from {len(states):,} customers and {len(timers):,} timers of the shop"
    )
    rows = []
    for name, entries, raw in (
        ("customer", customer_entries(states), sum(sizes) / len(sizes)),
        (
            "timer",
            timer_entries(timers),
            sum(len(key) + len(value) for key, value in islice(timer_entries(timers), 1000)) / 1000,
        ),
    ):
        folder = context.state / f"footprint-{name}"
        started = time.perf_counter()
        on_disk = write_store(folder, entries)
        seconds = time.perf_counter() - started
        figures = {"disk_bytes_each": round(on_disk / ENTRIES, 1), "encoded_bytes_each": round(raw, 1)}
        if name == "customer":
            figures["largest_encoded_bytes"] = max(sizes)
        rows.append(Result(f"footprint-{name}", "takk", round(ENTRIES / seconds, 1), "", ENTRIES, figures=figures))
    return rows


def customers_and_timers() -> tuple[list[Customer], list[tuple[bytes, bytes]]]:
    """Return customers of the simulated shop after up to 30 days, and the timers (key, value) that they scheduled."""
    codec = open_codec()
    decoder, encoder, ruleset = Decoder(codec), Encoder(codec), load_ruleset(bench_templates())
    states: dict[str, Customer] = {}
    timers: list[tuple[bytes, bytes]] = []
    start = datetime.now(UTC) - timedelta(days=30)
    for shop_record in islice(Shop(11, 0.01, 86_400.0).records(start, 30 * 86_400.0), EVENTS):
        raw = codec.encode(topics.SCHEMA_OF[shop_record.topic], shop_record.record)
        event = decoder.event(shop_record.topic, shop_record.key, raw, int(shop_record.at.timestamp() * 1000))
        name = event.customer_id
        states[name], effects = advance(ruleset, states.get(name) or new_customer(name), event, shop_record.at)
        for effect in effects:
            if isinstance(effect, ScheduleTimer):
                _, key, value, _ = encoder.effects.encode(effect, shop_record.at)
                timers.append((key, value or b""))
    return list(states.values()), timers


def customer_entries(states: list[Customer]) -> Iterator[tuple[bytes, bytes]]:
    """Yield `ENTRIES` entries of the customers table."""
    encoded = [encode_customer(state) for state in states]
    for number, raw in enumerate(islice(cycle(encoded), ENTRIES)):
        yield b"customer-%08d" % (number * 7919 % ENTRIES), raw


def timer_entries(timers: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield `ENTRIES` entries of the timers table, due within a year."""
    begin = int(time.time() * 1000)
    for number, (key, value) in enumerate(islice(cycle(timers), ENTRIES)):
        due = begin + number * 7919 % ENTRIES * 31_536
        yield timer_key(due, b"%032x" % (number * 0x9E3779B97F4A7C15 % (1 << 128))), pack(key, value)


def write_store(folder: Path, entries: Iterable[tuple[bytes, bytes]]) -> int:
    """Write the entries, close the store, and return the bytes of all files under `folder`."""
    store = PartitionStore(folder, Memory(256))
    remaining, position = iter(entries), 0
    while batch := dict(islice(remaining, BATCH)):
        position += len(batch)
        store.write(batch, position)
    store.close()
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
