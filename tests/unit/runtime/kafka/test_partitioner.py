"""The partitioner equals that of Kafka's Java client."""

from __future__ import annotations

import pytest

from streams.runtime.kafka.partitioner import murmur2, partition_of

# From the tests of Kafka's Java client (UtilsTest.testMurmur2), signed as in Java.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", JAVA)
def test_hash_and_partition_equal_the_java_client(key: bytes) -> None:
    """Hash and partition of Kafka's own test vectors equal those of the Java client."""
    assert murmur2(key) == JAVA[key] % (1 << 32)
    assert partition_of(key, 12) == (JAVA[key] & 0x7FFFFFFF) % 12


def test_a_topic_has_a_partition() -> None:
    """A number of partitions below 1 raises ValueError."""
    with pytest.raises(ValueError, match="1 or more"):
        partition_of(b"c1", 0)
