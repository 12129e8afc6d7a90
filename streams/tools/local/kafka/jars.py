"""The jars of the embedded Kafka: fetched once, kept in the user's cache directory."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

KAFKA_VERSION = "4.1.0"


class KafkaStartError(RuntimeError):
    """The embedded broker did not start; the message says where its log is and what to do."""


def cache_dir() -> Path:
    """Takk's folder in the user's cache (XDG base directory specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "takk"


def classpath() -> str:
    """The broker's jars, fetched on the first call (about 120 MB).

    Raises:
        KafkaStartError: they could not be fetched.
    """
    listing = cache_dir() / f"kafka-{KAFKA_VERSION}.classpath"
    if listing.exists():
        jars = listing.read_text().strip()
        if all(Path(jar).exists() for jar in jars.split(os.pathsep)):
            return jars
    listing.parent.mkdir(parents=True, exist_ok=True)
    with (listing.parent / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first starts at once must not fetch into the same folder
        jars = _fetch()
        half = listing.with_suffix(".half")
        half.write_text(jars)
        half.replace(listing)
    return jars


def _fetch() -> str:
    print(f"Fetching Apache Kafka {KAFKA_VERSION} (once, about 120 MB) ...", file=sys.stderr, flush=True)  # noqa: T201 - progress for people
    import jgo

    try:
        environment = jgo.build(
            # kafka-clients is named, or jgo takes an older one that another dependency asks for.
            f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.apache.kafka:kafka-clients:{KAFKA_VERSION}"
            "+org.apache.logging.log4j:log4j-slf4j-impl:2.24.3+org.apache.logging.log4j:log4j-core:2.24.3",
            cache_dir=cache_dir() / "jars",
        )
    except Exception as error:
        raise KafkaStartError(
            f"Apache Kafka {KAFKA_VERSION} could not be fetched: {error}. Check the network and the Maven settings of this machine, "
            "or set KAFKA_BOOTSTRAP_SERVERS to a broker of your own."
        ) from error
    jars = os.pathsep.join(sorted(str(p) for p in Path(environment.path).rglob("*.jar")))
    if f"kafka-clients-{KAFKA_VERSION}.jar" not in jars:
        raise KafkaStartError(f"the jars fetched do not fit together; delete {cache_dir()} and try again")
    return jars
