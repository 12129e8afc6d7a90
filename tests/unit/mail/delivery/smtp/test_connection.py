"""Emails on connections in memory: the answer to every refusal, cut and delay, with and without pipelining."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from streams.mail.delivery.bounces import Phase
from streams.mail.delivery.smtp.answers import Accepted, Answer, Refused, ServerDown, Unknown
from streams.mail.delivery.smtp.connection import with_dots
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.smtp.server import Server
from tests.harness.smtp_in_memory import CLOSE, GOOD, OMIT, SILENCE, InMemoryServer, Script
from tests.harness.virtual_time import run

BOTH = pytest.mark.parametrize("is_pipelining", [True, False], ids=["pipelining", "one by one"])


class Client:
    """A pool of connections in memory, and what happened to its emails."""

    def __init__(self, script: Script, connections: int = 1) -> None:
        self.server = InMemoryServer(script)
        settings = Server(host="memory", port=25, connections=connections)
        self.pool = SmtpPool(settings, open_connection=self.server.open_connection)
        self.begun: list[str] = []
        self.seconds: dict[str, float] = {}

    async def send(self, name: str, body: bytes = b"hi\r\n") -> Answer:
        """Send one email to `name`."""
        answer = await self.pool.send(
            "shop@shop.example", f"{name}@post.example", body, lambda: self.begun.append(name)
        )
        self.seconds[name] = asyncio.get_running_loop().time()
        return answer

    async def send_all(self, *names: str) -> list[Answer]:
        """Send emails at once."""
        return await asyncio.gather(*(self.send(name) for name in names))

    @property
    def accepted(self) -> list[str]:
        """The emails that the server accepted."""
        return [recipient.partition("@")[0] for recipient, _ in self.server.accepted]


def only(name: str, command: str, reply: bytes) -> Callable[[str, str], bytes]:
    """Return the replies of a server that answers `command` of the email to `name` with `reply`, and all else well."""

    def answer(asked: str, recipient: str) -> bytes:
        return reply if asked == command and recipient.partition("@")[0] in (name, "") else GOOD[asked]

    return answer


@BOTH
def test_an_address_with_other_letters_needs_smtputf8(is_pipelining: bool) -> None:
    """With SMTPUTF8 the email is accepted; without it this email alone is refused, and the server does not see the address."""

    async def work() -> None:
        client = Client(Script(is_pipelining=is_pipelining, has_utf8=True))
        assert [type(answer) for answer in await client.send_all("jörg", "anna")] == [Accepted, Accepted]
        assert sorted(client.accepted) == ["anna", "jörg"]
        client = Client(Script(is_pipelining=is_pipelining))
        refused, accepted = await client.send_all("jörg", "anna")
        assert isinstance(refused, Refused)
        assert (refused.code, refused.phase, refused.status) == (553, "rcpt", "5.6.7")
        assert isinstance(accepted, Accepted)
        assert (client.accepted, client.server.violations) == (["anna"], [])

    run(work())


@BOTH
@pytest.mark.parametrize(("command", "phase"), [("MAIL", "mail"), ("RCPT", "rcpt"), ("DATA", "data"), (".", "dot")])
@pytest.mark.parametrize("is_strict", [True, False], ids=["strict", "354 without recipient"])
def test_a_refusal_at_any_command(is_pipelining: bool, command: str, phase: Phase, is_strict: bool) -> None:
    """A 4xx at any command refuses this email and no other. The connection stays, and no empty email is sent."""
    script = Script(
        only("bad", command, b"450-4.2.0 wait\r\n450 4.2.0 please\r\n"),
        is_pipelining=is_pipelining,
        is_strict=is_strict,
    )

    async def work() -> None:
        client = Client(script)
        refusal = await client.send("bad")
        assert refusal == Refused(450, "450 4.2.0 wait 4.2.0 please", phase, "4.2.0")
        script.reply = lambda asked, recipient: GOOD[asked]
        assert await client.send_all("good", "fine") == [Accepted("Q1")] * 2
        assert client.accepted == ["good", "fine"]
        assert client.begun == (["bad"] if command == "." else []) + ["good", "fine"]
        assert (client.server.connections, client.server.violations) == (1, [])

    run(work())


@BOTH
@pytest.mark.parametrize("reply", [b"251 will forward\r\n", b"252 cannot verify\r\n", b"250\r\n"])
def test_every_2xx_at_rcpt_is_a_yes(is_pipelining: bool, reply: bytes) -> None:
    """RFC 5321 4.2.2: 251 and 252 accept the recipient."""

    async def work() -> None:
        client = Client(Script(only("anna", "RCPT", reply), is_pipelining=is_pipelining))
        assert await client.send("anna") == Accepted("Q1")

    run(work())


@BOTH
@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("reply", [b"421 4.3.2 closing\r\n", b"421 4.3.2 closing\r\n" + b"250 ok\r\n"])
def test_421_at_any_command(is_pipelining: bool, command: str, reply: bytes) -> None:
    """421 ends the connection, even if the server does not close it. The email was not accepted, and its neighbours are sent."""

    async def work() -> None:
        client = Client(Script(only("bad", command, reply), is_pipelining=is_pipelining), connections=2)
        if command == "MAIL":  # the server does not know the recipient yet
            client.server.script.reply = only("", "MAIL", reply)
            answer = await client.send("bad")
        else:
            answer, *others = await client.send_all("bad", *"abcdef")
            assert others == [Accepted("Q1")] * 6
        phase = {"MAIL": "mail", "RCPT": "rcpt", "DATA": "data", ".": "dot"}[command]
        assert isinstance(answer, ServerDown)
        assert (answer.code, answer.status, answer.phase, answer.is_connecting) == (421, "4.3.2", phase, False)
        assert "bad" not in client.accepted

    run(work())


@BOTH
@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize(
    "trouble", [CLOSE, SILENCE, b"hello\r\n", b"\xff\x00\x1b[31m\r\n", b"199 odd\r\n", b"334 what\r\n"]
)
def test_trouble_at_any_command(is_pipelining: bool, command: str, trouble: bytes) -> None:
    """A cut, silence or an invalid reply is trouble of one email. Before the message it is safe to retry; after it the outcome is unknown."""

    async def work() -> None:
        client = Client(Script(only("bad", command, trouble), is_pipelining=is_pipelining), connections=2)
        if command == "MAIL":
            client.server.script.reply = only("", "MAIL", trouble)
            answer = await client.send("bad")
        else:
            answer, *others = await client.send_all("bad", *"abcdef")
            assert others == [Accepted("Q1")] * 6
        assert isinstance(answer, Unknown if command == "." else ServerDown)
        assert ("bad" in client.begun) == (command == ".")
        if isinstance(answer, ServerDown):
            assert answer.phase == {"MAIL": "mail", "RCPT": "rcpt", "DATA": "data"}[command]
            assert (answer.is_connecting, answer.is_timeout) == (False, trouble == SILENCE)
        assert "bad" not in client.accepted
        assert client.server.violations == []

    run(work())


@BOTH
@pytest.mark.parametrize(("command", "seconds"), [("MAIL", 300), ("RCPT", 300), ("DATA", 120), (".", 600)])
def test_timeouts_of_rfc_5321(is_pipelining: bool, command: str, seconds: float) -> None:
    """RFC 5321 4.5.3.2: each reply may take its own time, also the last of several, and not longer."""

    async def work(delay: float) -> tuple[Answer, float]:
        script = Script(is_pipelining=is_pipelining)
        script.chunks = lambda data: [(delay if data == GOOD[command] else 100.0, data)]
        client = Client(script)
        return await client.send("anna"), client.seconds["anna"]

    answer, _ = run(work(seconds - 1))
    assert answer == Accepted("Q1")
    answer, took = run(work(seconds + 1))
    assert isinstance(answer, Unknown if command == "." else ServerDown)
    assert answer.text == f"no answer within {seconds} s"
    before = 100 * ["MAIL", "RCPT", "DATA", "."].index(command)
    assert took == pytest.approx(before + seconds)


def test_a_slow_dot_is_no_second_copy() -> None:
    """A server that answers the final dot after nine minutes gets every email once."""

    async def work() -> None:
        script = Script(chunks=lambda data: [(540.0 if data == GOOD["."] else 0.0, data)])
        client = Client(script, connections=2)
        assert await client.send_all(*"abcd") == [Accepted("Q1")] * 4
        assert sorted(client.accepted) == list("abcd")

    run(work())


async def envelopes_that_follow(client: Client, names: str) -> list[str]:
    """Send emails at once. Return those whose envelope left before the answer to the message before it."""
    script, began = client.server.script, list[float]()
    script.chunks = lambda data: [(1.0 if data.startswith(b"354") or b"queued" in data else 0.0, data)]
    answer = script.reply

    def reply(command: str, recipient: str) -> bytes:
        if command == "MAIL":
            began.append(asyncio.get_running_loop().time())
        return answer(command, recipient)

    script.reply = reply
    assert await client.send_all(*names) == [Accepted("Q1")] * len(names)
    script.reply = answer
    return [
        after for before, after, at in zip(names, names[1:], began[1:], strict=False) if at < client.seconds[before]
    ]


def test_an_envelope_follows_a_message() -> None:
    """With pipelining the next envelope leaves before the answer to the message, and DATA is the last command of a group.

    The first message of a connection is waited for: it shows that the server answers messages.
    """

    async def work() -> None:
        client = Client(Script())
        assert await envelopes_that_follow(client, "abcde") == list("cde")
        assert client.accepted == list("abcde")
        assert (client.server.connections, client.server.violations) == (1, [])

    run(work())


#: The replies to an envelope of a server without enhanced status codes (RFC 2034).
PLAIN = {"MAIL": b"250 Ok\r\n", "RCPT": b"250 Ok\r\n"}


@pytest.mark.parametrize("replies", [{}, PLAIN], ids=["enhanced status", "plain"])
def test_a_server_that_answers_no_message(replies: dict[str, bytes]) -> None:
    """No envelope follows the first message of a connection, so a server that omits the answer runs into the timeout."""

    async def work() -> None:
        client = Client(Script(lambda command, recipient: (GOOD | replies | {".": OMIT})[command]))
        answers = await client.send_all("a", "b")
        assert answers == [Unknown("no answer within 600 s")] * 2
        assert client.seconds == {"a": 600, "b": 1200}

    run(work())


def omitting(name: str, replies: dict[str, bytes]) -> Callable[[str, str], bytes]:
    """Return the replies of a server that omits the answer to the message to `name`, and answers all else with `replies`, or well."""
    return lambda asked, to: OMIT if asked == "." and to.partition("@")[0] == name else (GOOD | replies)[asked]


def test_the_reply_to_an_envelope_is_no_acceptance() -> None:
    """A server omits the answer to a message. The enhanced status of the next reply shows that it answers MAIL: nothing is accepted."""

    async def work() -> None:
        client = Client(Script(omitting("bad", {})))
        assert await client.send("first") == Accepted("Q1")
        with capture_logs() as logs:
            bad, *others = await client.send_all("bad", *"abc")
        assert bad == Unknown("the reply to another command: 250 2.1.0 Ok")
        assert others == [Accepted("Q1")] * 3
        assert sorted(client.accepted) == [*"abc", "first"]
        assert [line["reason"] for line in logs] == ["250 2.1.0 Ok"]
        assert await envelopes_that_follow(client, "defg") == []

    run(work())


@pytest.mark.parametrize("delay", [0.0, 1.0], ids=["together", "apart"])
def test_replies_that_are_out_of_step(delay: float) -> None:
    """A server without enhanced status codes omits an answer. 354 in the place of the reply to RCPT shows it.

    Replies that come together leave the email in doubt. Otherwise it counts as accepted already, which is logged. No envelope follows a
    message any more.
    """

    async def work() -> None:
        client = Client(Script(omitting("bad", PLAIN)))
        assert await client.send("first") == Accepted("Q1")
        client.server.script.chunks = lambda data: [(delay, data)]
        with capture_logs() as logs:
            bad, *others = await client.send_all("bad", *"abc")
        assert isinstance(bad, Accepted if delay else Unknown)
        assert others == [Accepted("Q1")] * 3
        assert sorted(client.accepted) == [*"abc", "first"]
        assert [line["log_level"] for line in logs] == ["warning"]
        assert logs[0]["reason"].startswith("354 ")
        assert await envelopes_that_follow(client, "defg") == []
        assert client.server.violations == []

    run(work())


def test_a_server_that_answers_messages_as_it_answers_recipients() -> None:
    """A server that answers every message with the status of RCPT is believed. No envelope follows its messages."""

    async def work() -> None:
        client = Client(Script(lambda command, recipient: (GOOD | {".": b"250 2.1.5 Ok: queued as Q1\r\n"})[command]))
        assert await envelopes_that_follow(client, "abcd") == []
        assert client.server.connections == 1

    run(work())


def test_a_slow_email_delays_no_other() -> None:
    """An email that waits behind a slow one moves to another connection, and the slow one is still accepted."""

    async def work() -> None:
        script = Script()

        def reply(command: str, recipient: str) -> bytes:
            return b"250 slow\r\n" if command == "." and recipient.startswith("slow") else GOOD[command]

        script.reply = reply
        script.chunks = lambda data: [(500.0 if data == b"250 slow\r\n" else 0.01, data)]
        client = Client(script, connections=2)
        answers = await client.send_all("slow", *"abcdefgh")
        assert answers == [Accepted(None)] + [Accepted("Q1")] * 8
        assert client.seconds.pop("slow") > 500
        assert max(client.seconds.values()) < 5
        assert sorted(client.accepted) == [*"abcdefgh", "slow"]
        assert client.server.most_at_once == 2

    run(work())


def test_an_unasked_reply_ends_the_connection() -> None:
    """A reply that no command waits for is not taken for the reply to the next command."""

    async def work() -> None:
        script = Script(only("anna", ".", b"250 2.0.0 Ok: queued as Q1\r\n550 5.0.0 no\r\n"))
        client = Client(script)
        assert await client.send("anna") == Accepted("Q1")
        assert await client.send("bo") == Accepted("Q1")
        assert client.server.connections == 2

    run(work())


@BOTH
def test_cancelled_before_the_message(is_pipelining: bool) -> None:
    """A send that is cancelled before its message was begun leaves nothing behind: no email, no connection in the wrong state."""

    async def work() -> None:
        script = Script(is_pipelining=is_pipelining, chunks=lambda data: [(1.0, data)])
        client = Client(script, connections=2)
        sends = [asyncio.ensure_future(client.send(name)) for name in "abcdef"]
        await asyncio.sleep(0.5)
        for number in (0, 2, 4):
            sends[number].cancel()
        answers = await asyncio.gather(*sends, return_exceptions=True)
        assert [answers[number] for number in (1, 3, 5)] == [Accepted("Q1")] * 3
        assert sorted(client.accepted) == sorted(client.begun) == list("bdf")
        assert client.server.violations == []

    run(work())


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".a\r\n..\r\n.\r\n", b"..a\r\n...\r\n..\r\n.\r\n"),
        (b"no end", b"no end\r\n.\r\n"),
        (b"", b".\r\n"),
    ],
)
def test_dots(message: bytes, written: bytes) -> None:
    """RFC 5321 4.5.2: each line that begins with a dot gets another one, and a dot alone ends the message."""
    assert with_dots(message) == written
