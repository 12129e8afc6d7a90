"""Produces one record with a header whose name is not UTF-8, as a program: no client accepts such a name.

`AIOKAFKA_NO_EXTENSIONS=1 python -m tests.harness.raw_headers BOOTSTRAP TOPIC PARTITION KEY VALUE`; key and value are hexadecimal digits, and
`-` stands for a missing key. aiokafka written in Python encodes the name by a method of its object, which this program replaces.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

from aiokafka import AIOKafkaProducer


class RawName(str):
    """A name whose UTF-8 encoding is invalid."""

    def encode(self, *arguments: Any) -> bytes:
        """Return bytes that are not UTF-8."""
        return b"\xff\xfe"


def produce(bootstrap: str, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
    """Produce a record with such a header. Raise CalledProcessError if the broker does not accept it."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            __name__,
            bootstrap,
            topic,
            str(partition),
            "-" if key is None else key.hex(),
            value.hex(),
        ],
        env={**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"},
        check=True,
        timeout=60,
    )


async def main(bootstrap: str, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
    """Produce the record."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, key, partition, headers=[(RawName("raw"), b"1")])
    finally:
        await producer.stop()


if __name__ == "__main__":
    to, name, number, key_digits, value_digits = sys.argv[1:]
    asyncio.run(
        main(
            to, name, int(number), None if key_digits == "-" else bytes.fromhex(key_digits), bytes.fromhex(value_digits)
        )
    )
