"""Rate limits: how many emails leave in any stretch of time, in virtual time."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.smtp.rate_limits import RateLimits, TokenBucket
from streams.mail.delivery.smtp.server import Server
from tests.harness.examples import examples
from tests.harness.smtp_in_memory import InMemoryServer, Script
from tests.harness.virtual_time import run


@settings(max_examples=examples(200))
@given(st.floats(0.1, 5_000), st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_no_stretch_of_time_has_too_many(rate: float, gaps: list[float]) -> None:
    """Whenever emails come, the ones that leave within T seconds are at most rate * T and the tolerance, and they leave in order."""
    bucket, now, leaving = TokenBucket(rate), 0.0, []
    for gap in gaps:
        now += gap / rate
        leaving.append(now + bucket.reserve(now))
    assert leaving == sorted(leaving)
    for first, start in enumerate(leaving):
        for last in range(first + 1, len(leaving)):
            assert last - first + 1 <= rate * (leaving[last] - start) + max(1.0, rate * 0.01) + 1e-6


def test_an_idle_bucket_does_not_save_up() -> None:
    """After an idle hour no more emails leave together than at any other time."""
    bucket = TokenBucket(14)
    assert [round(bucket.reserve(0.0), 3) for _ in range(3)] == [0.0, 0.071, 0.143]
    assert [round(bucket.reserve(3600.0), 3) for _ in range(3)] == [0.0, 0.071, 0.143]


def test_limits_by_domain() -> None:
    """Each domain has its own limit, whatever the capitals; others wait only for the limit of all. Waiting comes before the begin mark."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        server = InMemoryServer(Script())
        limits = RateLimits(100, {"gmail.com": 10, "outlook.com": 5}, clock=loop.time)
        pool = SmtpPool(Server(host="memory", port=25), limits, server.open_connection)
        begun: dict[str, float] = {}

        async def send(recipient: str) -> None:
            await pool.send("a@b.example", recipient, b"x\r\n", lambda: begun.setdefault(recipient, loop.time()))  # type: ignore[arg-type,return-value]

        recipients = [
            f"{n}@{domain}" for n in range(21) for domain in ("gmail.com", "GMAIL.com", "Outlook.com", "post.example")
        ]
        await asyncio.gather(*map(send, recipients))
        last = {
            domain: max(at for name, at in begun.items() if name.lower().endswith(domain))
            for domain in ("gmail.com", "outlook.com", "post.example")
        }
        assert round(last["gmail.com"], 1) == 4.1
        assert round(last["outlook.com"], 1) == 4.0
        assert last["post.example"] < 0.9
        assert len(server.accepted) == len(recipients)

    run(work())


def test_no_limits() -> None:
    """Without settings no email waits."""

    async def work() -> None:
        limits = RateLimits()
        for _ in range(10_000):
            await limits.wait("a@gmail.com")
        assert asyncio.get_running_loop().time() == 0

    run(work())
