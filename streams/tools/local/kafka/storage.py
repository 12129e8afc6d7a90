"""The storage of a new broker. Kafka's tool, which formats it, starts a JVM; so its result is kept, and the next brokers copy it."""

from __future__ import annotations

import base64
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from streams.tools.local.kafka.jar_list import KAFKA_VERSION
from streams.tools.local.kafka.jars import cache_dir

#: The tool's file with the features that a cluster has at first. Its content depends on Kafka's version alone.
_CHECKPOINT = "bootstrap.checkpoint"


def format_storage(logs: Path, cluster_id: str, node: int, run_tool: Callable[[], None]) -> None:
    """Make `logs` the storage of a broker, unless it is one.

    Args:
        logs: the folder of the broker's data.
        cluster_id: the id of its cluster.
        node: its node id.
        run_tool: runs `StorageTool format`. It is called if no result of an earlier run is kept.
    """
    if (logs / "meta.properties").exists():
        return
    kept = cache_dir() / f"kafka-{KAFKA_VERSION}.{_CHECKPOINT}"
    if not kept.exists():
        run_tool()
        _write_whole(kept, (logs / _CHECKPOINT).read_bytes())
        return
    logs.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept, logs / _CHECKPOINT)
    directory_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # This file last: a storage without it is formatted again.
    properties = f"version=1\ncluster.id={cluster_id}\nnode.id={node}\ndirectory.id={directory_id}\n"
    _write_whole(logs / "meta.properties", properties.encode())


def _write_whole(path: Path, content: bytes) -> None:
    """Write the file at once: another process sees all of it or nothing."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    partial.write_bytes(content)
    partial.replace(path)
