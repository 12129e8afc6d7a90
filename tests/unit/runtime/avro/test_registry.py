"""The schema registry: outages, unknown ids, and schemas that others registered. A real HTTP server answers."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from streams.agents import instrumentation
from streams.agents.instrumentation import Instrumentation
from streams.observability.logs import setup_logs
from streams.runtime.avro import registry as registry_module
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.errors import RegistryUnavailable
from streams.settings import load_settings
from streams.wire import topics
from streams.wire.codec import codec_of, open_codec
from tests.harness import records
from tests.harness.codec import CODEC as PLAIN
from tests.harness.kafka_fakes import Record
from tests.harness.registry_server import RegistryServer

ORDER = json.loads((load_settings().schemas_dir / "order.avsc").read_text())
FULL_NAME = f"{ORDER['namespace']}.{ORDER['name']}"
DATA = PLAIN.encode("order", records.order())[10:]


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "REFRESH_INTERVAL_S", 0.01)
    monkeypatch.setattr(instrumentation, "REGISTRY_PAUSE_S", 0.01)


def newer(name: str = "gift") -> dict[str, Any]:
    """Return the schema of orders with one more field."""
    schema = copy.deepcopy(ORDER)
    schema["fields"].append({"name": name, "type": "boolean", "default": False})
    return schema


def record(number: int, data: bytes = DATA + b"\1") -> Any:
    """Return a record of `orders` with a schema id."""
    return Record(0, of=topics.ORDERS, body=b"\0" + number.to_bytes(4, "big") + data)


def prepare(codec: Codec, *found: Any) -> None:
    """Do what a stage does before it decodes a batch."""
    stage = Instrumentation(codec).stage("flows", (topics.ORDERS,), table="t", encode=bytes, decode=bytes)
    assert stage.prepare is not None
    work = stage.prepare(found)
    if work is not None:
        asyncio.run(_await(work))


async def _await(work: Any) -> None:
    await work


def decode(codec: Codec, found: Any) -> dict[str, Any]:
    return codec.decode("order", found.value())


def test_the_password_is_neither_in_addresses_nor_in_logs(
    server: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login of SCHEMA_REGISTRY_URL reaches the registry in a header. The HTTP client logs each address, without it."""
    login = "me:hunter2%2Fhunter2@"
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", server.url.replace("http://", f"http://{login}"))
    settings, stream, root = load_settings(), io.StringIO(), logging.getLogger()
    handlers = list(root.handlers)
    try:
        setup_logs("debug", stream=stream, secrets=settings.secret_values())
        codec = codec_of(settings)
        raw = logging.StreamHandler(stream)  # a handler without the filter: the address itself has no password
        logging.getLogger("httpx").addHandler(raw)
        logging.getLogger("httpx").setLevel(logging.DEBUG)
        prepare(codec, record(server.add("orders-value", newer())))
    finally:
        root.handlers[:] = handlers
        logging.getLogger("httpx").removeHandler(raw)
        logging.getLogger("httpx").setLevel(logging.NOTSET)
    assert set(server.logins) == {"me:hunter2/hunter2"}
    assert "versions" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert "hunter2" not in str(settings.registry_address)


def test_a_newer_writer_is_found_under_the_topics_subject(server: RegistryServer) -> None:
    """A shop may register a newer schema while the worker runs, under each of Confluent's three names of subjects."""
    codec = open_codec(server.url)
    for subject in ("orders-value", FULL_NAME, f"orders-{FULL_NAME}"):
        found = record(server.add(subject, newer(f"f{len(server.requests)}")))
        prepare(codec, found)
        assert decode(codec, found) == records.order()


def test_a_deleted_version_is_still_read(server: RegistryServer) -> None:
    """Records of a version that was deleted afterwards are valid."""
    codec = open_codec(server.url)
    number = server.add("orders-value", newer())
    server.delete("orders-value", number)
    prepare(codec, record(number))
    assert decode(codec, record(number)) == records.order()


def test_a_schema_of_another_subject_is_not_believed(server: RegistryServer) -> None:
    """An id of somebody else's subject is unknown, although the schema would fit."""
    codec = open_codec(server.url)
    number = server.add("others-value", newer())
    prepare(codec, record(number))
    with pytest.raises(DecodeFailed, match="does not belong to a subject of order"):
        decode(codec, record(number))


@pytest.mark.parametrize("status", [503, 500, 429, 401])
def test_an_outage_is_waited_for(server: RegistryServer, status: int) -> None:
    """While the registry answers with an error, records with unknown ids wait: they do not become dead letters."""
    codec = open_codec(server.url)
    found = record(server.add("orders-value", newer()))
    server.status = status
    before = len(server.requests)
    waiting = threading.Thread(target=prepare, args=(codec, found))
    waiting.start()
    while len(server.requests) < before + 3:  # it asks again and again
        waiting.join(0.01)
    assert waiting.is_alive()
    server.status = 200
    waiting.join()
    assert decode(codec, found) == records.order()


@pytest.mark.parametrize("body", [b"", b"<html>proxy</html>", b"[" * 5000, b'{"a": 1}', b'["x"]'])
def test_answers_that_are_not_a_registrys(server: RegistryServer, body: bytes) -> None:
    """A proxy that answers instead of the registry is an outage too."""
    codec = open_codec(server.url)
    server.body = body
    with pytest.raises(RegistryUnavailable):
        codec.load(["order"], float("inf"))


def test_no_answer_is_an_outage(server: RegistryServer) -> None:
    """A registry that is gone is waited for."""
    with RegistryServer() as other:
        codec = open_codec(other.url)
    with pytest.raises(RegistryUnavailable):
        codec.load(["order"], float("inf"))


def test_many_unknown_ids_cost_one_refresh(server: RegistryServer) -> None:
    """2,000 records with 2,000 unknown ids make a few requests together, none of them by decoding; a good record among them is decoded."""
    codec = open_codec(server.url)
    good = record(server.add("orders-value", newer()))
    bad = [record(number) for number in range(10_000, 12_000)]
    before = len(server.requests)
    prepare(codec, *bad, good)
    asked = len(server.requests) - before
    assert asked <= 5
    assert decode(codec, good) == records.order()
    for found in bad:
        with pytest.raises(DecodeFailed):
            decode(codec, found)
    assert len(server.requests) - before == asked


def test_all_threads_share_the_limit() -> None:
    """Refreshes are at least an interval apart, whoever asks. A refresh that began after the record was read serves all waiting threads."""
    now, pauses, asked = [100.0], [], []

    class Client:
        def get_versions(self, subject: str, **options: Any) -> list[int]:
            asked.append(subject)
            return []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    found = registry_module.Registry(
        Client(), {"order": ["orders-value"]}, {"order": "o.Order"}, clock=lambda: now[0], sleep=sleep
    )
    for _ in range(3):
        found.refresh(["order"], now[0] + 0.001)
    assert pauses == [pytest.approx(0.01)] * 2
    count = len(asked)
    found.refresh(["order"], now[0] - 0.1)
    assert len(asked) == count


def test_subjects_that_are_forbidden(server: RegistryServer) -> None:
    """A registry may forbid reading other subjects than the topic's: they have no schemas then."""
    server.forbidden = {FULL_NAME}
    codec = open_codec(server.url)
    found = record(server.add("orders-value", newer()))
    prepare(codec, found)
    assert decode(codec, found) == records.order()


def test_a_tool_waits_where_it_decodes(server: RegistryServer) -> None:
    """Commands decode without a preparation. An outage is an error there, and no invalid record."""
    codec = open_codec(server.url)
    found = record(server.add("orders-value", newer()))
    server.status = 503
    with pytest.raises(RegistryUnavailable, match="answers 503"):
        decode(codec, found)
    server.status = 200
    assert decode(codec, found) == records.order()


def test_records_of_this_version_need_no_request(server: RegistryServer) -> None:
    """A registry that goes away after the start does not delay records in the current schema."""
    codec = open_codec(server.url)
    data = codec.encode("order", records.order())
    server.status = 503
    assert codec.missing([("order", data)]) == set()
    assert codec.decode("order", data) == records.order()
