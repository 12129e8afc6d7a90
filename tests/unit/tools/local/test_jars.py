"""The jars of the embedded Kafka: the list is consistent, and a wrong checksum is an error."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from streams.tools.local.kafka import jars
from streams.tools.local.kafka.jar_list import JARS, KAFKA_VERSION, ROOTS


class Repository:
    """A fake Maven repository in a directory. Every jar contains its own name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = ""

    def project(self, group: str, artifact: str) -> Repository:
        """Select a project."""
        selected = Repository(self.directory)
        selected.name = artifact
        return selected

    def at_version(self, version: str) -> Repository:
        """Select a version."""
        self.name += f"-{version}.jar"
        return self

    def artifact(self) -> Repository:
        """Select the jar."""
        return self

    def resolve(self) -> Path:
        """Return the path of the jar."""
        path = self.directory / self.name
        path.write_text(self.name)
        return path


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository and an empty cache directory."""
    fake = Repository(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(jars, "_maven", lambda: fake)
    return fake


def checksum(name: str) -> str:
    """The checksum of a jar of the fake repository."""
    return hashlib.sha256(name.encode()).hexdigest()


def test_the_list_has_what_the_broker_needs() -> None:
    """Every entry has exact coordinates and a checksum; the list contains its roots, in the same Kafka version."""
    assert set(ROOTS) <= JARS.keys()
    assert all(re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+", coordinates) for coordinates in JARS)
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in JARS.values())
    kafka = [coordinates for coordinates in JARS if coordinates.startswith("org.apache.kafka:")]
    assert {coordinates.rpartition(":")[2] for coordinates in kafka} == {KAFKA_VERSION}


def test_the_class_path_is_written_once(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call downloads; later calls use the list of paths, until a jar is missing."""
    monkeypatch.setattr(jars, "JARS", {"g:a:1": checksum("a-1.jar"), "g:b:2": checksum("b-2.jar")})
    first = jars.classpath()
    assert first == f"{repository.directory / 'a-1.jar'}:{repository.directory / 'b-2.jar'}"
    downloads: list[Any] = []
    monkeypatch.setattr(jars, "_download", lambda: downloads.append(1) or [])
    assert jars.classpath() == first
    assert not downloads
    (repository.directory / "a-1.jar").unlink()
    jars.classpath()
    assert downloads


def test_a_wrong_checksum(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A jar with another checksum is an error that names the file, and no class path is stored."""
    monkeypatch.setattr(jars, "JARS", {"g:a:1": "0" * 64})
    with pytest.raises(jars.KafkaStartError, match=r"a-1\.jar has the checksum"):
        jars.classpath()
    assert not list(jars.cache_dir().glob("*.classpath"))
