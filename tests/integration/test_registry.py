"""The schema registry is away while a worker runs: valid records wait, others go on, and unknown ids cost few requests."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.runtime.avro.codec import Codec
from streams.runtime.avro.schemas import load_schemas
from streams.runtime.kafka.partitioner import partition_of
from streams.tools.local.kafka.committed import read_all
from streams.wire import topics
from streams.wire.codec import SCHEMAS, open_codec
from tests.harness import records
from tests.harness.registry_server import RegistryServer
from tests.harness.stack import Stack, open_stack

ORDER = load_schemas(SCHEMAS)["order"]
UNKNOWN_IDS = 2000


@pytest.fixture(scope="module")
def registry() -> Iterator[RegistryServer]:
    """A schema registry."""
    with RegistryServer() as server:
        yield server


@pytest.fixture(scope="module")
def stack(registry: RegistryServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose processes use the registry."""
    env = {"SCHEMA_REGISTRY_URL": registry.url}
    with open_stack(tmp_path_factory.mktemp("stack"), day_s=3600.0, env=env) as stack:
        yield stack


def order(customer: str) -> dict[str, Any]:
    """Return a valid order of `customer`, placed now."""
    now = datetime.now(UTC)
    return records.order(
        order_id=f"o-{customer}", customer_id=customer, email=f"{customer}@example.org", placed_at=now, occurred_at=now
    )


def commands(stack: Stack, codec: Codec) -> set[str]:
    """Return the customers for whom an email was commanded."""
    found = read_all(stack.settings.kafka(), [topics.COMMANDS])[topics.COMMANDS]
    return {codec.decode("email_command", record.value())["customer_id"] for record in found}


def dead_letters(stack: Stack, codec: Codec) -> list[str]:
    """Return the reasons of the dead letters."""
    found = read_all(stack.settings.kafka(), [topics.DEAD_LETTERS])[topics.DEAD_LETTERS]
    return [codec.decode("dead_letter", record.value())["reason"] for record in found]


@pytest.mark.campaign
def test_an_outage_of_the_registry(stack: Stack, registry: RegistryServer) -> None:
    """A valid order with a new schema id waits for the registry, orders of other partitions do not. 2,000 unknown ids make few requests."""
    codec = open_codec(registry.url)
    newer = copy.deepcopy(ORDER)
    newer["fields"].append({"name": "gift", "type": "boolean", "default": False})
    number = registry.add("orders-value", newer)
    registry.status = 503
    partitions = stack.settings.partitions
    late = next(name for name in map("late-{}".format, range(99)) if partition_of(name.encode(), partitions) == 0)
    prompt = next(name for name in map("prompt-{}".format, range(99)) if partition_of(name.encode(), partitions) == 1)
    data = stack.codec.encode("order", order(late))[10:] + b"\1"
    stack.produce(topics.ORDERS, late.encode(), b"\0" + number.to_bytes(4, "big") + data)
    stack.produce(topics.ORDERS, prompt.encode(), order(prompt))
    stack.wait_until(lambda: prompt in commands(stack, codec), "the email of the other partition")
    asked = len(registry.requests)
    stack.wait_until(lambda: len(registry.requests) > asked, "another request during the outage")
    assert late not in commands(stack, codec)
    for unknown in range(UNKNOWN_IDS):
        stack.enqueue(topics.ORDERS, late.encode(), b"\0" + (10_000 + unknown).to_bytes(4, "big") + data)
    registry.status = 200
    asked = len(registry.requests)
    stack.wait_until(lambda: len(dead_letters(stack, codec)) == UNKNOWN_IDS, "a dead letter of each unknown id")
    assert late in commands(stack, codec)
    assert set(dead_letters(stack, codec)) == {"unknown_schema"}
    assert len(registry.requests) - asked < UNKNOWN_IDS / 10
