"""The limits per address, and which address a request comes from."""

from __future__ import annotations

import pytest

from streams.endpoints import networks_of
from streams.gateway.limits import RateLimit, client_address


class Clock:
    """A clock that tests move."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_bucket() -> None:
    """An address has the tokens of a minute at first, and gets one back each time it is due."""
    clock = Clock()
    limit = RateLimit(60, clock)
    assert [limit.take("a") for _ in range(61)] == [0] * 60 + [2]
    assert limit.take("b") == 0
    clock.now = 1.0
    assert [limit.take("a") for _ in range(2)] == [0, 2]
    clock.now = 10_000.0
    assert [limit.take("a") for _ in range(100)].count(0) == 60


def test_the_number_of_addresses() -> None:
    """Many addresses take a bounded memory."""
    limit = RateLimit(1, Clock(), max_keys=2)
    for key in ("a", "b", "c"):
        assert limit.take(key) == 0
    assert len(limit._buckets) == 2
    assert limit.take("c") > 0
    assert limit.take("a") == 0


TRUSTED = networks_of("10.0.0.0/8, 192.0.2.7, 2001:db8:1::/48")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.1", [], "198.51.100.1"),
        ("198.51.100.1", ["203.0.113.9"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.9, 192.0.2.7"], "203.0.113.9"),
        ("10.0.0.1", ["not an address"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, not an address"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8:1::5", ["2001:db8:2:3:4:5:6:7"], "2001:db8:2:3::"),
        ("2001:db8:2:3:4:5:6:7", [], "2001:db8:2:3::"),
        (None, ["203.0.113.9"], ""),
        ("10.0.0.1", ["203.0.113.9:40001"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::"),
    ],
)
def test_the_address_of_a_client(peer: str | None, forwarded: list[str], expected: str) -> None:
    """`X-Forwarded-For` counts only as far as trusted proxies wrote it, and IPv6 counts by network."""
    assert client_address(peer, forwarded, TRUSTED) == expected


def test_no_proxy_is_trusted_by_default() -> None:
    """Without a setting nobody can choose their address."""
    assert client_address("10.0.0.1", ["203.0.113.9"], networks_of("")) == "10.0.0.1"


@pytest.mark.parametrize("text", ["10.0.0.0/33", "proxy.example", "10.0.0.1;10.0.0.2"])
def test_a_setting_that_is_invalid(text: str) -> None:
    """An invalid network is named."""
    with pytest.raises(ValueError, match="not a valid network"):
        networks_of(text)
