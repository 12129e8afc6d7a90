"""Limits per client address: token buckets, and which address a request comes from."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from streams.endpoints import Network

#: Addresses that are remembered. The one that was seen longest ago is forgotten first.
MAX_ADDRESSES = 50_000
#: A household or a phone has a whole network of IPv6 addresses, so one limit holds for it.
IPV6_PREFIX = 64
#: An address as some proxies write it: with a port, and IPv6 in brackets.
_WITH_PORT = re.compile(r"\[([^\[\]]*)\](?::\d{1,5})?|([^:]*):\d{1,5}")


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the address of the client, as a key of limits; an empty text if it is unknown.

    `X-Forwarded-For` is believed from its end on, as far as trusted proxies wrote it: what a client wrote itself stands in front.

    Args:
        peer: the other end of the connection.
        forwarded: the values of `X-Forwarded-For`, in the order of the headers.
        trusted: the networks of the proxies.
    """
    if not (trusted and forwarded):
        return _key_of(peer or "")
    found = _parse(peer or "")
    if found is None:
        return ""
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    while hops and _is_in(found, trusted):
        hop = hops.pop()
        written = _WITH_PORT.fullmatch(hop)
        before = _parse((written[1] or written[2]) if written else hop)
        if before is None:
            break
        found = before
    return _key(found)


@lru_cache(maxsize=4096)
def _key_of(text: str) -> str:
    """Return the key of an address in text. A connection is kept for many requests."""
    found = _parse(text)
    return _key(found) if found is not None else ""


def _key(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_PREFIX), strict=False).network_address)
    return str(address)


@lru_cache(maxsize=4096)
def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


class RateLimit:
    """A token bucket per key. A bucket has the tokens of a minute at first.

    Args:
        per_minute: tokens per minute.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float], max_keys: int = MAX_ADDRESSES) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60.0
        self._clock = clock
        self._max_keys = max_keys
        #: Key -> tokens, and when they were counted.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> int:
        """Take a token and return 0. If the bucket is empty, return the seconds until it has a token again, rounded up."""
        now = self._clock()
        tokens, at = self._buckets.pop(key, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - at) * self._per_second)
        is_allowed = tokens >= 1.0
        self._buckets[key] = (tokens - 1.0 if is_allowed else tokens, now)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return 0 if is_allowed else int((1.0 - tokens) / self._per_second) + 1
