"""Any behaviour of the server: every email has one outcome, and it agrees with the emails that the server accepted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.mail.delivery.smtp.answers import Accepted, Answer, Refused, ServerDown, Unknown
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.smtp.server import Server
from tests.harness.examples import every, examples
from tests.harness.smtp_in_memory import CLOSE, GOOD, OMIT, SILENCE, InMemoryServer, Script
from tests.harness.virtual_time import run

#: Replies besides the good one. Two replies to one command are at most as many as a defective server sends.
ODD = [
    b"250 ok\r\n", b"251 will forward\r\n", b"252 perhaps\r\n", b"354 go\r\n", b"334 what\r\n", b"421 4.3.2 closing\r\n",
    b"450 4.2.1 later\r\n", b"451-4.3.0 a\r\n451-4.3.0 b\r\n451 4.3.0 c\r\n", b"452 4.5.3 too many\r\n", b"454 4.7.0 slow\r\n",
    b"503 5.5.1 sequence\r\n", b"550 5.1.1 Empf\xe4nger\r\n", b"550-5.7.1 \x1b[2J\x00\n550 5.7.1 x\n", b"554 no\r\n",
    b"250 ok\r\n250 ok\r\n", b"550 no\r\n250 ok\r\n", b"hello\r\n", b"\xff\xfe\x00\r\n", b"250", b"25", b"\r\n", CLOSE, SILENCE,
]  # fmt: skip
REPLIES = st.sampled_from(ODD) | st.binary(min_size=1, max_size=12)
#: Of a server that leaves out replies and goes on. Its other replies have enhanced status codes: without them the reply to the next command
#: could be taken for the one that is missing.
OMITTING = st.sampled_from(
    [OMIT, OMIT, OMIT, b"450 4.2.1 later\r\n", b"550 5.1.1 no\r\n", b"421 4.3.2 closing\r\n", CLOSE, SILENCE]
)
COMMANDS = ["MAIL", "RCPT", "DATA", ".", "RSET"]
#: How many bytes arrive together, and the seconds before them.
CHUNKS = st.tuples(st.integers(1, 30), st.sampled_from([0.0, 0.0, 0.001, 3.0, 100.0]))


@st.composite
def scripts(draw: st.DrawFn, replies: st.SearchStrategy[bytes] = REPLIES, last: int = 40) -> Script:
    """Return a server that answers some commands oddly, divides and delays its bytes, and cuts connections after some bytes."""
    odd = draw(st.dictionaries(st.tuples(st.integers(0, last), st.sampled_from(COMMANDS)), replies, max_size=6))
    sizes = draw(st.lists(CHUNKS, min_size=1, max_size=8))
    asked: Counter[str] = Counter()
    turns = 0

    def reply(command: str, recipient: str) -> bytes:
        asked[command] += 1
        return odd.get((asked[command] - 1, command), GOOD[command])

    def chunks(data: bytes) -> Iterable[tuple[float, bytes]]:
        nonlocal turns
        while data:
            size, delay = sizes[turns % len(sizes)]
            turns += 1
            yield delay, data[:size]
            data = data[size:]

    def is_refusing(number: int) -> ServerDown | None:
        return ServerDown("refused") if number in refused else None

    refused = draw(st.sets(st.integers(0, 6), max_size=3))
    return Script(
        reply=reply,
        chunks=chunks,
        close_after=draw(st.lists(st.none() | st.integers(0, 300), max_size=6)),
        is_pipelining=draw(st.booleans()),
        is_strict=draw(st.booleans()),
        is_refusing=is_refusing,
    )


async def _send_all(script: Script, emails: int, connections: int, cancelled: frozenset[int] = frozenset()) -> None:
    server = InMemoryServer(script)
    pool = SmtpPool(Server(host="memory", port=25, connections=connections), open_connection=server.open_connection)
    begun: Counter[str] = Counter()

    def body(number: int) -> bytes:
        return b"Message-ID: <%d>\r\n\r\n.\r\n..x\r\n" % number

    async def send(number: int) -> Answer:
        recipient = f"r{number}@post.example"

        def on_begun() -> None:
            assert recipient not in [accepted for accepted, _ in server.accepted]
            begun[recipient] += 1

        return await pool.send("shop@shop.example", recipient, body(number), on_begun)

    sends = [asyncio.ensure_future(send(number)) for number in range(emails)]
    await asyncio.sleep(0)
    for number in cancelled:
        sends[number % emails].cancel()
    answers = await asyncio.gather(*sends, return_exceptions=True)
    accepted = Counter(recipient for recipient, _ in server.accepted)
    for number, answer in enumerate(answers):
        recipient = f"r{number}@post.example"
        assert accepted[recipient] <= 1
        assert begun[recipient] <= 1
        assert accepted[recipient] <= begun[recipient]
        if isinstance(answer, Accepted):
            assert accepted[recipient] == 1, (server.commands, answers)
        elif isinstance(answer, Unknown):
            assert begun[recipient] == 1
        elif isinstance(answer, Refused | ServerDown):
            assert accepted[recipient] == 0
            assert answer.text.isprintable()
        else:
            assert isinstance(answer, asyncio.CancelledError)
    for recipient, message in server.accepted:
        assert message == body(int(recipient[1:].partition("@")[0]))
    assert server.violations == [], server.commands
    assert server.most_at_once <= connections
    await pool.close()
    assert server.at_once == 0


@settings(max_examples=examples(600))
@given(scripts(), st.integers(1, 8), st.integers(1, 3), st.frozensets(st.integers(0, 7), max_size=2))
def test_every_email_has_one_true_outcome(
    script: Script, emails: int, connections: int, cancelled: frozenset[int]
) -> None:
    """Whatever the server replies, an outcome that is not accepted or unknown means that the server did not accept the email."""
    run(_send_all(script, emails, connections, cancelled))


@settings(max_examples=examples(300))
@given(scripts(OMITTING, 9), st.integers(1, 8), st.integers(1, 3))
def test_a_missing_reply_is_no_acceptance(script: Script, emails: int, connections: int) -> None:
    """A server that leaves out replies and goes on: no email counts as accepted that it did not accept."""
    run(_send_all(script, emails, connections))


@pytest.mark.parametrize("is_pipelining", [True, False], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("odd", [None, ("RCPT", b"550-5.1.1 no\r\n550 5.1.1 no\r\n"), (".", b"450 4.2.0 later\r\n")])
def test_a_cut_at_every_byte(is_pipelining: bool, odd: tuple[str, bytes] | None) -> None:
    """The connection may end after any byte of the replies to three emails."""
    for position in range(400):
        for size in (1, 1000) if position % every(1) == 0 else (1000,):
            script = Script(close_after=[position], is_pipelining=is_pipelining)
            script.chunks = lambda data, size=size: [(0.0, data[at : at + size]) for at in range(0, len(data), size)]  # type: ignore[misc]
            if odd is not None:
                script.reply = lambda command, recipient: (
                    odd[1] if command == odd[0] and recipient[:2] == "r1" else GOOD[command]
                )
            run(_send_all(script, 3, 1))
