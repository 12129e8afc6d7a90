"""The pool with a real Postfix, which hands every email over to a fake server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.mail.delivery.smtp.answers import Accepted, Answer, Refused
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.smtp.server import Server
from tests.harness import postfix
from tests.harness.smtp_server import running

pytestmark = pytest.mark.skipif(postfix.MISSING is not None, reason=str(postfix.MISSING))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Postfix's user can enter."""
    with tempfile.TemporaryDirectory(prefix="takk-postfix-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("more", ["", "smtpd_discard_ehlo_keywords = pipelining"], ids=["pipelining", "one by one"])
async def test_postfix(folder: Path, more: str) -> None:
    """Good emails arrive once and unchanged; refused ones have the phase and status of their refusal, and disturb no other."""
    async with running() as inbox:
        with postfix.running(folder, inbox.port, more) as port:
            # Postfix takes three connections of a client and refuses the others.
            pool = SmtpPool(Server(host="127.0.0.1", port=port, connections=5, helo_name="shop.example"))

            async def send(number: int) -> Answer:
                recipient = {3: "gone", 7: "later"}.get(number % 10, f"c{number}") + "@post.example"
                size = 150_000 if number % 10 == 9 else 20 * number
                lines = b".\r\n..x\r\n" + b"word\r\n" * (size // 6)
                data = b"Message-ID: <%d@shop.example>\r\nFrom: a@shop.example\r\n\r\n%b" % (number, lines)
                return await pool.send("hej@shop.example", recipient, data, lambda: None)

            answers = await asyncio.gather(*(send(number) for number in range(60)))
            await pool.close()
            async with asyncio.timeout(60):
                while len(inbox.accepted) < 42:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    for number, answer in enumerate(answers):
        if number % 10 == 3:
            assert isinstance(answer, Refused)
            assert (answer.code, answer.phase, answer.status) == (550, "rcpt", "5.1.1")
        elif number % 10 == 7:
            assert isinstance(answer, Refused)
            assert (answer.code, answer.phase, answer.status) == (450, "rcpt", "4.2.1")
        elif number % 10 == 9:
            assert isinstance(answer, Refused)
            assert (answer.code, answer.phase, answer.status) == (552, "dot", "5.3.4")
        else:
            assert isinstance(answer, Accepted)
            assert answer.queue_id
    assert sorted(map(int, inbox.accepted)) == [number for number in range(60) if number % 10 not in (3, 7, 9)]
    for send_id, body in zip(inbox.accepted, inbox.bodies, strict=True):
        assert body.endswith(b"\r\n\r\n.\r\n..x\r\n" + b"word\r\n" * (20 * int(send_id) // 6))
