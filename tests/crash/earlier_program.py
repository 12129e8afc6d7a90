"""A program of an earlier commit: its files, the schemas that its readers know, and what its worker decided."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.agents.flows import Decision
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.settings import PROJECT_ROOT
from streams.tools.local.oracle import Replay
from streams.wire.codec import open_codec

#: Package metadata beside the program takes precedence over the environment's, so the old program finds its own RocksDB store.
_METADATA = "Metadata-Version: 2.1\nName: takk\nVersion: 0.1.0\n"


def checkout(revision: str, folder: Path) -> Path:
    """Write the program of `revision` into `folder`, with the metadata that its plugins need, and return the folder.

    Raises:
        subprocess.CalledProcessError: the revision is missing, for example in a shallow clone.
    """
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", revision], cwd=PROJECT_ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    plugins = (folder / "pyproject.toml").read_text(encoding="utf-8").split('[project.entry-points."faust.stores"]')[1]
    name, target = plugins.split("\n")[1].split(" = ")
    metadata = folder / "takk-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(_METADATA, encoding="utf-8")
    entry = f"[faust.stores]\n{name} = {json.loads(target)}\n"
    (metadata / "entry_points.txt").write_text(entry, encoding="utf-8")
    return folder


def codec_of(folder: Path) -> Codec:
    """Return the codec of the schemas of the program in `folder`. Fields that they do not have are left out."""
    return open_codec(schemas=folder / "schemas")


class EarlierDecisions:
    """The handler of the flows agent of an earlier program. It runs in a process of its own, which ends with the block.

    Args:
        folder: of the program.
        env: the settings of its processes.
        partitions: number of partitions of every topic.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], partitions: int) -> None:
        settings = {name: value for name, value in env.items() if name != "TAKK_TEMPLATES_DIR"}  # it has its own
        self._child = subprocess.Popen(
            # -P: the script's folder is not searched for modules, so `streams` is the earlier one.
            [sys.executable, "-P", str(Path(__file__).with_name("earlier_decide.py"))],
            env={**os.environ, **settings, "PYTHONPATH": str(folder), "PARTITIONS": str(partitions)},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> EarlierDecisions:
        return self

    def __exit__(self, *exc: object) -> None:
        self._child.kill()
        self._child.communicate()

    def handle(self, record: Any, replay: Replay) -> Decision:
        """Return what the earlier program decided about a record, with the state in bytes.

        Raises:
            AssertionError: the process has ended; its error is on stderr.
        """
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None
        assert stdout is not None
        key = record.key()
        question = (record.topic(), key, record.value(), record.timestamp()[1])
        try:
            pickle.dump((replay.partition, replay.now_ms, replay.stored(key), question), stdin)
            stdin.flush()
            answer = pickle.load(stdout)
        except (BrokenPipeError, EOFError):
            raise AssertionError(f"the earlier program failed on a record of {record.topic()}, see stderr") from None
        if answer is None:
            return None, None, []
        changed, after, outputs = answer
        return changed, after, [ProducerRecord(*output) for output in outputs]
