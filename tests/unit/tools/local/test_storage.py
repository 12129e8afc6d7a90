"""The storage of a new broker: made by Kafka's tool once, and copied from then on."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.tools.local.kafka.storage import format_storage


class Tool:
    """Writes what Kafka's tool writes, and counts its runs."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.runs = 0

    def __call__(self) -> None:
        self.runs += 1
        self.logs.mkdir(parents=True)
        (self.logs / "bootstrap.checkpoint").write_bytes(b"features")
        (self.logs / "meta.properties").write_text("cluster.id=first\n")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a cache directory that has nothing of Kafka yet."""
    (tmp_path / "cache" / "takk").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_tool_runs_once(tmp_path: Path) -> None:
    """The second broker gets the features of the first, and ids of its own."""
    first, second = Tool(tmp_path / "1"), Tool(tmp_path / "2")
    format_storage(first.logs, "first", 1, first)
    format_storage(second.logs, "second", 2, second)
    assert (first.runs, second.runs) == (1, 0)
    assert (second.logs / "bootstrap.checkpoint").read_bytes() == b"features"
    properties = dict(line.split("=", 1) for line in (second.logs / "meta.properties").read_text().splitlines())
    assert len(properties.pop("directory.id")) == 22
    assert properties == {"version": "1", "cluster.id": "second", "node.id": "2"}


def test_a_storage_is_kept(tmp_path: Path) -> None:
    """A broker that starts again keeps its storage."""
    tool = Tool(tmp_path / "1")
    format_storage(tool.logs, "first", 1, tool)
    format_storage(tool.logs, "other", 1, tool)
    assert tool.runs == 1
    assert (tool.logs / "meta.properties").read_text() == "cluster.id=first\n"


def test_an_interrupted_copy_is_repeated(tmp_path: Path) -> None:
    """A storage without `meta.properties` is formatted, whatever else it has."""
    first = Tool(tmp_path / "1")
    format_storage(first.logs, "first", 1, first)
    logs = tmp_path / "2"
    logs.mkdir()
    (logs / "bootstrap.checkpoint").write_bytes(b"fea")
    format_storage(logs, "second", 2, first)
    assert (logs / "bootstrap.checkpoint").read_bytes() == b"features"
    assert "cluster.id=second" in (logs / "meta.properties").read_text()
