"""The jars of the embedded Kafka: downloaded once, in parallel, and kept in the user's cache directory.

`python -m streams.tools.local.kafka.jars` downloads them. `make demo` runs it while pip installs the rest, so this module
imports nothing but the standard library and, late, jgo.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from streams.tools.local.kafka.jar_list import JARS, KAFKA_VERSION, ROOTS

#: Downloads at the same time.
CONNECTIONS = 8


class KafkaStartError(RuntimeError):
    """The embedded Kafka cannot start. The message names its log and suggests what to do."""


def cache_dir() -> Path:
    """Return Takk's directory in the user's cache (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "takk"


def classpath() -> str:
    """Return the broker's class path. The first call downloads the jars (44 MB).

    Raises:
        KafkaStartError: a jar cannot be downloaded, or has the wrong checksum.
    """
    listing = cache_dir() / f"kafka-{KAFKA_VERSION}.classpath"
    if (paths := _complete(listing)) is not None:
        return paths
    listing.parent.mkdir(parents=True, exist_ok=True)
    with (listing.parent / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process downloads, the others wait for it
        if (paths := _complete(listing)) is not None:
            return paths
        paths = os.pathsep.join(str(path) for path in _download())
        partial = listing.with_suffix(".partial")
        partial.write_text(paths)
        partial.replace(listing)
    return paths


def _complete(listing: Path) -> str | None:
    """Return the class path that `listing` contains, or None if a jar is missing."""
    if not listing.exists():
        return None
    paths = listing.read_text().strip()
    return paths if all(Path(path).exists() for path in paths.split(os.pathsep)) else None


def _download() -> list[Path]:
    started = time.monotonic()
    _print(f"Kafka: downloading Apache Kafka {KAFKA_VERSION} (44 MB, once) ...")
    context = _maven()
    try:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            paths = list(pool.map(lambda jar: _jar(context, *jar), JARS.items()))
    except Exception as error:  # jgo and its HTTP library define no common class; every error means the same here
        raise KafkaStartError(
            f"Apache Kafka {KAFKA_VERSION} cannot be downloaded: {error}. Check the network and the Maven settings of this machine, "
            "or set KAFKA_BOOTSTRAP_SERVERS to your own broker."
        ) from error
    _print(f"Kafka: downloaded in {time.monotonic() - started:.0f} s.")
    return paths


def _maven() -> Any:
    """Return jgo's access to the Maven repositories. Jars that are in the user's own Maven cache are not downloaded again."""
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    return MavenContext(repo_cache=cache_dir() / "jars", local_repos=[GlobalSettings.load().repo_cache], timeout=60)


def _jar(context: Any, coordinates: str, checksum: str) -> Path:
    group, artifact, version = coordinates.split(":")
    path = Path(context.project(group, artifact).at_version(version).artifact().resolve())
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != checksum:
        raise ValueError(f"{path} has the checksum {actual}, expected {checksum}; delete the file and try again")
    return path


def _resolve() -> None:
    """Print the table of jar_list.py for ROOTS."""
    import jgo

    artifacts = jgo.resolve("+".join(ROOTS))
    rows = {
        f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}": artifact.resolve() for artifact in artifacts
    }
    for coordinates, path in sorted(rows.items()):
        _print(f'    "{coordinates}": "{hashlib.sha256(Path(path).read_bytes()).hexdigest()}",')


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress for people


def main() -> int:
    """Download the jars; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m streams.tools.local.kafka.jars", description="Download the jars of the embedded Kafka."
    )
    parser.add_argument("--resolve", action="store_true", help="print the table of jar_list.py")
    if parser.parse_args().resolve:
        _resolve()
        return 0
    try:
        classpath()
    except KafkaStartError as error:
        _print(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
