"""Reload: which version a process uses, and what happens to those with errors, or whose files have not arrived."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streams.agents import reload
from streams.agents.global_tables.global_table import Partition
from streams.agents.global_tables.published_templates import PublishedTemplatesTable
from streams.agents.process_templates import ProcessTemplates
from streams.agents.reload import RefusedTemplates, Reloader, Switch
from streams.definitions.layers import Layers, read_snapshot
from streams.definitions.loader import load_flows
from streams.observability import metrics
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.published_templates import PublishedTemplates
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC
from tests.harness.process_state import until
from tests.harness.small_templates import FLOW, write_folder

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
COPY = f"{FLOW}/copy/en.yaml"


class Process:
    """A process that loads flows.

    Attributes:
        used: the content of the copy at each switch.
        refuses: why it refuses each version; "" if it does not.
    """

    def __init__(self, tmp_path: Path) -> None:
        self.root = write_folder(tmp_path / "shop")
        self.templates = ProcessTemplates(self.root, tmp_path / "home")
        self.used: list[str] = []
        self.refuses = ""
        self.published: PublishedTemplates | None = None
        self.reloader = Reloader(self.templates, self.load, self.fetch)

    async def fetch(self) -> Process:
        return self

    async def load(self, layers: Layers) -> Switch:
        load_flows(layers.path)
        if self.refuses:
            raise RefusedTemplates(self.refuses)

        async def switch() -> None:
            self.used.append((layers.path / COPY).read_text())

        return switch

    def publish(self) -> str:
        """Publish the folder as it is now."""
        version = read_snapshot(self.root).version
        self.published = PublishedTemplates(version, "anna@shop", NOW)
        return version

    def look(self) -> None:
        asyncio.run(self.reloader.look(self.published))

    @property
    def is_published(self) -> float:
        return float(metrics.TEMPLATES_PUBLISHED._value.get())


def refused(reason: str) -> float:
    return float(metrics.TEMPLATES_REFUSED.labels(reason)._value.get())


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_a_published_version_is_used(process: Process) -> None:
    """An edit has no effect until it is published; then it is used once."""
    first = process.templates.version
    (process.root / COPY).write_text("hi.subject: Newer\n")
    process.look()
    assert process.used == []
    assert process.reloader.state == f"templates {first}, none published"
    version = process.publish()
    process.look()
    process.look()
    assert process.used == ["hi.subject: Newer\n"]
    assert process.reloader.state == f"templates {version}, published"
    assert process.is_published == 1
    (samples,) = [metric.samples for metric in metrics.TEMPLATES_INFO.collect()]
    assert [sample.labels["version"] for sample in samples if sample.labels["version"] in (first, version)] == [version]


def test_files_that_arrive_later(process: Process) -> None:
    """A process whose folder does not have the published version keeps its own, and looks again."""
    old = (process.root / COPY).read_text()
    (process.root / COPY).write_text("hi.subject: Newer\n")
    version = process.publish()
    (process.root / COPY).write_text(old)
    process.look()
    assert (process.used, process.is_published) == ([], 0)
    assert process.reloader.state.endswith(f"published: {version} (not in the folder yet)")
    (process.root / COPY).write_text("hi.subject: Ne")  # half of the file
    process.look()
    assert process.used == []
    (process.root / COPY).write_text("hi.subject: Newer\n")
    process.look()
    assert process.used == ["hi.subject: Newer\n"]


def test_a_copy_that_cannot_be_written(process: Process) -> None:
    """The process keeps its version, leaves no part of the copy, and tries again."""
    (process.root / COPY).write_text("hi.subject: Newer\n")
    (process.root / "a").write_text("")
    version = process.publish()
    home = process.templates.layers.path.parent
    for number in (2, 3):  # a folder in the place of a file, as if the disk was full
        (home / f"{version}-{number}" / "a").mkdir(parents=True)
        process.look()
        assert not (home / f"{version}-{number}").exists()
    assert (process.used, process.is_published) == ([], 0)
    process.look()
    assert process.used == ["hi.subject: Newer\n"]


def test_a_file_name_that_is_not_utf_8(process: Process) -> None:
    """Such a file stops neither the reload nor the start of a process."""
    (process.root / os.fsdecode(b"\xff.txt")).write_text("")
    (process.root / COPY).write_text("hi.subject: Newer\n")
    process.publish()
    process.look()
    assert process.used == ["hi.subject: Newer\n"]


def test_a_version_with_errors_is_refused(process: Process) -> None:
    """It is counted once, its copy is deleted, and the present version stays; the next version is used."""
    before, flow = refused("invalid"), process.root / FLOW / "flow.yaml"
    valid, path, first = flow.read_text(), process.templates.layers.path, process.templates.version
    flow.write_text(valid.replace("steps:", "stepz:"))
    version = process.publish()
    process.look()
    process.look()
    assert refused("invalid") == before + 1
    assert (process.used, process.is_published) == ([], 0)
    assert process.reloader.state == f"templates {first}; published: {version} (refused)"
    assert [each for each in path.parent.iterdir() if each != path] == []
    flow.write_text(valid.replace("days: 2", "days: 3"))
    process.publish()
    process.look()
    assert len(process.used) == 1
    assert process.is_published == 1


def test_a_version_that_needs_a_restart(process: Process) -> None:
    """It is refused with another reason, because the operator must act."""
    before = refused("restart")
    process.refuses = "restart the workers"
    (process.root / COPY).write_text("hi.subject: Newer\n")
    process.publish()
    process.look()
    assert refused("restart") == before + 1
    assert process.used == []


def test_an_earlier_version_is_published_again(process: Process) -> None:
    """Going back is publishing: the older content has its version again."""
    first, old = process.templates.version, (process.root / COPY).read_text()
    (process.root / COPY).write_text("hi.subject: Newer\n")
    process.publish()
    process.look()
    (process.root / COPY).write_text(old)
    assert process.publish() == first
    process.look()
    assert process.used == ["hi.subject: Newer\n", old]


def test_a_failed_load_is_repeated(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk says nothing about the templates: the process tries again."""
    before = refused("invalid")
    (process.root / COPY).write_text("hi.subject: Newer\n")
    process.publish()
    load = process.load

    async def fails(layers: Layers) -> Switch:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(process.reloader, "_load", fails)
    process.look()
    assert process.used == []
    monkeypatch.setattr(process.reloader, "_load", load)
    process.look()
    assert (len(process.used), refused("invalid")) == (1, before)


def test_it_follows_the_topic(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` looks until it is cancelled, and a defect of it does not end the process."""
    monkeypatch.setattr(reload, "LOOK_S", 0.001)

    async def follow() -> None:
        task = asyncio.create_task(process.reloader.run())
        (process.root / COPY).write_text("hi.subject: Newer\n")
        process.publish()
        await until(lambda: bool(process.used))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(follow())
    asyncio.run(Reloader(process.templates, process.load, broken).run())
    assert process.is_published == 0


async def broken() -> Any:
    """A table that cannot be read."""
    raise ZeroDivisionError


def test_the_table_has_the_newest_record_of_the_app() -> None:
    """Records of other apps and invalid records change nothing; a record without a value withdraws the publication."""
    bounds: Mapping[Partition, tuple[int, int]] = {(topics.PUBLISHED_TEMPLATES, 0): (0, 0)}
    table = PublishedTemplatesTable(Decoder(CODEC), "takk", bounds)
    encode = Encoder(CODEC).published_templates
    for app, version in (("takk", "a"), ("other", "b"), ("takk", "c")):
        record = encode(app, version, "anna@shop", NOW)
        table.put(record.topic, record.key, record.value)
    table.put(topics.PUBLISHED_TEMPLATES, b"takk", b"nonsense")
    table.put(topics.PUBLISHED_TEMPLATES, b"takk", encode("takk", "", "", NOW).value)
    assert table.published == PublishedTemplates("c", "anna@shop", NOW)
    table.put(topics.PUBLISHED_TEMPLATES, b"takk", None)
    assert table.published is None
