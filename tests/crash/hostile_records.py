"""A scenario with records that have stopped Takk before: each is processed or becomes a dead letter, while processes are killed."""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streams.runtime.avro.codec import Codec
from streams.runtime.avro.schemas import load_schemas
from streams.runtime.kafka.partitioner import partition_of
from streams.wire import topics
from streams.wire.codec import SCHEMAS, open_codec
from streams.wire.validation import MAX_MINOR
from tests.crash.scenario_run import ScenarioRun
from tests.harness import raw_headers, records
from tests.harness.compressed import produce_zstd
from tests.harness.registry_server import RegistryServer
from tests.harness.stack import PATIENCE_S

#: Emails to wait for between two kills.
EMAILS_BETWEEN = 60
#: Rounds of all hostile records, each with a kill of a worker and of the mailer.
ROUNDS = 2
#: The key of the record that ends every process.
FATAL_KEY = "fatal"
#: Records with different unknown schema ids in a round.
UNKNOWN_IDS = 2000
#: An array of 2^60 items without size is 15 bytes long, and a schema that contains itself nests without end.
ZERO_SIZE = {"type": "array", "items": "null"}
RECURSIVE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
#: 2^60 as the number of items, and the end of the array.
MANY_ITEMS = b"\x80\x80\x80\x80\x80\x80\x80\x80\x20\x00"
ADDRESS = "latin-1@example.org"
LATIN_1 = "550 5.1.1 Empfänger ungültig".encode("latin-1")


def fatal_record() -> dict[str, str]:
    """Return the settings of processes that a record with the key `FATAL_KEY` ends."""
    folder = Path(__file__).parent / "fatal_record"
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "TAKK_CRASH_KEY": FATAL_KEY}


def hostile_records(run: ScenarioRun) -> None:
    """Produce every hostile record among good ones, and kill a worker and the mailer in between."""
    stack, expected = run.stack, Counter[tuple[bytes, str]]()
    run.inbox.on_recipient = lambda address: LATIN_1 if address == ADDRESS else None
    with RegistryServer() as registry:
        for process in stack.processes:
            assert process.stop() == 0
            process.settings["SCHEMA_REGISTRY_URL"] = registry.url
            process.start()
        for process in stack.processes:
            process.await_ready()
        stack.codec = open_codec(registry.url)
        with run.shop_open():
            for number in range(ROUNDS):
                run.await_emails(EMAILS_BETWEEN, is_supervised=True)
                run.note_fault(*stack.workers)  # the fatal record ends each worker that gets its partition
                expected.update(_produce(run, registry, number))
                for victim in (stack.workers[number % 2], stack.mailer):
                    run.await_emails(EMAILS_BETWEEN, is_supervised=True)
                    run.kill(victim)
                    victim.start()
                run.wait_until(lambda: expected <= _letters(run), "every dead letter", PATIENCE_S, is_supervised=True)
                for process in stack.processes:
                    run.wait_until(lambda process=process: process.is_ready, "all are ready", is_supervised=True)
                registry.status = 503
                _produce_newer(run, registry, number)
                run.await_emails(EMAILS_BETWEEN, is_supervised=True)
                registry.status = 200
            run.await_emails(EMAILS_BETWEEN, is_supervised=True)
        assert (letters := _letters(run)) == expected, f"{letters - expected} besides what was expected"
        for name in ("newer", "headers"):
            for number in range(ROUNDS):
                address = f"{name}-{number}@example.org"
                run.wait_until(
                    lambda address=address: run.inbox.mails(address), f"an email to {address}", is_supervised=True
                )
        run.judge()


def _letters(run: ScenarioRun) -> Counter[tuple[bytes, str]]:
    """Return the number of dead letters by key and reason."""
    return Counter((letter["key"], letter["reason"]) for letter in run.stack.records(topics.DEAD_LETTERS))


def _order(codec: Codec, customer: str, **changes: Any) -> bytes:
    now = datetime.now(UTC)
    values = {"customer_id": customer, "email": f"{customer}@example.org", "placed_at": now, "occurred_at": now}
    return codec.encode("order", records.order(**{"order_id": f"o-{customer}", **values, **changes}))


def _produce(run: ScenarioRun, registry: RegistryServer, number: int) -> Iterator[tuple[bytes, str]]:
    """Produce the hostile records of one round, and yield the key and the reason of each dead letter."""
    stack, codec = run.stack, run.stack.codec

    def key_of(name: str) -> bytes:
        return f"{name}-{number}".encode()

    def produce(name: str, value: bytes) -> bytes:
        stack.produce(topics.ORDERS, key_of(name), value)
        return key_of(name)

    def framed(schema: Any, data: bytes) -> bytes:
        return b"\0" + registry.add("orders-value", schema).to_bytes(4, "big") + data

    yield produce("much", _order(codec, f"much-{number}", currency="EUR", total_minor=2**63 - 1)), "too_much"
    for order in range(3):  # the sum has no bound, and saturates
        name = f"rich-{number}"
        produce("rich", _order(codec, name, order_id=f"o-{name}-{order}", total_minor=MAX_MINOR))
    produce_zstd(stack.settings.kafka(), [(topics.ORDERS, key_of("zeros"), bytes(9_000_000), [("h", b"1")])])
    yield key_of("zeros"), "unknown_schema"
    lines = [records.line(sku=f"{n:0200}", title="t" * 500, category="c" * 500) for n in range(1000)]
    large = _order(codec, f"large-right-{number}", lines=lines)
    produce_zstd(stack.settings.kafka(), [(topics.ORDERS, key_of("large"), large, [])])
    yield key_of("large"), "too_large"
    customer = f"headers-{number}"
    partition = partition_of(customer.encode(), stack.settings.partitions)
    bootstrap = stack.settings.kafka_bootstrap_servers
    raw_headers.produce(bootstrap, topics.ORDERS, partition, customer.encode(), _order(codec, customer))
    produce("latin", _order(codec, f"latin-{number}", email=ADDRESS))
    yield produce("zero-size", framed(ZERO_SIZE, MANY_ITEMS)), "unknown_schema"
    yield produce("recursive", framed(RECURSIVE, b"\2" * 300_000)), "unknown_schema"
    for unknown in range(UNKNOWN_IDS):
        stack.enqueue(topics.ORDERS, key_of(f"id-{unknown}"), b"\0" + (10_000 + unknown).to_bytes(4, "big") + b"data")
        yield key_of(f"id-{unknown}"), "unknown_schema"
    stack.produce(topics.ORDERS, FATAL_KEY.encode(), _order(codec, FATAL_KEY, order_id=f"o-{number}"))
    yield FATAL_KEY.encode(), "crashed"


def _produce_newer(run: ScenarioRun, registry: RegistryServer, number: int) -> None:
    """Produce a valid order with a schema that the workers do not know yet."""
    newer = copy.deepcopy(load_schemas(SCHEMAS)["order"])
    newer["fields"].append({"name": f"gift_{number}", "type": "boolean", "default": False})
    schema_id = registry.add("orders-value", newer)
    customer = f"newer-{number}"
    data = _order(open_codec(), customer)[10:] + b"\1"  # without the head of the single-object encoding
    run.stack.produce(topics.ORDERS, customer.encode(), b"\0" + schema_id.to_bytes(4, "big") + data)
