"""TLS and logins with a fake server: no password is sent unencrypted or logged."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.smtp.answers import Accepted, Answer, ServerDown
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.smtp.server import Server
from streams.mail.mailer import Mailer
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import Renderer
from tests.harness.certificates import self_signed
from tests.harness.commands import NOW, SENDER, TEMPLATES, command
from tests.harness.mailer_setup import InMemoryStore
from tests.harness.smtp_server import FakeMailServer, running

FROM, TO = "shop@shop.example", "anna@post.example"
LOGIN = ("shop", "the right password")
WRONG = "not-the-password"
DATA = b"Message-ID: <s1@shop.example>\r\n\r\nhi\r\n"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """The certificate file of the server, and its TLS context."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(pair: tuple[Path, ssl.SSLContext]) -> ssl.SSLContext:
    """The TLS context of a client that trusts the server's certificate."""
    return ssl.create_default_context(cafile=pair[0])


@pytest.fixture
async def mail_server(pair: tuple[Path, ssl.SSLContext]) -> AsyncIterator[FakeMailServer]:
    """A server that offers STARTTLS and requires a login."""
    async with running(tls=pair[1], login=LOGIN) as server:
        yield server


async def _send(pool: SmtpPool) -> Answer:
    answer = await pool.send(FROM, TO, DATA, lambda: None)
    await pool.close()
    return answer


async def test_starttls_and_login(mail_server: FakeMailServer, trusted: ssl.SSLContext) -> None:
    """With STARTTLS and the right password, emails are sent over TLS, on one connection with one login."""
    server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=LOGIN[1])
    pool = SmtpPool(server)
    assert await pool.send(FROM, TO, DATA, lambda: None) == Accepted("Q1")
    assert await _send(pool) == Accepted("Q1")
    assert (mail_server.logins, mail_server.was_over_tls) == ([("shop", True)], [True, True])


async def test_tls_from_the_first_byte(pair: tuple[Path, ssl.SSLContext], trusted: ssl.SSLContext) -> None:
    """Emails are sent on a port with TLS from the first byte."""
    async with running(tls=pair[1], is_tls_from_start=True, login=LOGIN) as mail_server:
        server = mail_server.server(tls="tls", context=trusted, username=LOGIN[0], password=LOGIN[1])
        assert await _send(SmtpPool(server)) == Accepted("Q1")
        assert (mail_server.logins, mail_server.was_over_tls) == ([("shop", True)], [True])


async def test_a_certificate_from_ssl_cert_file(
    mail_server: FakeMailServer, pair: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names a certificate that only this installation trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    server = mail_server.server(tls="starttls", username=LOGIN[0], password=LOGIN[1])
    assert await _send(SmtpPool(server)) == Accepted("Q1")


async def test_wrong_password(mail_server: FakeMailServer, trusted: ssl.SSLContext) -> None:
    """After a rejected login the server counts as down. The reason names the settings, but not the password."""
    server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=WRONG)
    answer = await _send(SmtpPool(server))
    assert isinstance(answer, ServerDown)
    assert "535" in answer.text
    assert "SMTP_USERNAME" in answer.text
    assert (set(mail_server.logins), mail_server.accepted) == (
        {("shop", False)},
        [],
    )  # one attempt for each login method
    assert WRONG not in answer.text + repr(server) + repr(answer)


async def test_wrong_password_is_not_logged(
    mail_server: FakeMailServer, trusted: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    """A mailer with a rejected login logs the reason. No log line contains the password."""
    caplog.set_level(logging.DEBUG, logger="aiosmtplib")
    is_stopping = False

    def on_pause(is_paused: bool) -> None:
        nonlocal is_stopping
        is_stopping = is_paused or is_stopping

    def clock() -> datetime:
        return NOW

    server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=WRONG)
    mailer = Mailer(
        Renderer(TEMPLATES, EmailBrand(name="Shop")), SENDER, SmtpPool(server), on_pause=on_pause, clock=clock
    )
    with capture_logs() as lines:
        reports = await mailer.deliver(
            [(command(), "send")], DeliveryMarks(InMemoryStore([]), "disk-1", "boot-1"), lambda: is_stopping
        )
    assert reports == []
    assert any("535" in str(line.get("reason")) for line in lines)
    assert WRONG not in str(lines) + caplog.text


async def test_server_without_starttls(trusted: ssl.SSLContext) -> None:
    """A server without the required STARTTLS gets neither password nor email, and the reason names STARTTLS."""
    async with running(login=LOGIN) as mail_server:
        server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=LOGIN[1])
        answer = await _send(SmtpPool(server))
        assert isinstance(answer, ServerDown)
        assert "STARTTLS" in answer.text
        assert (mail_server.logins, mail_server.accepted) == ([], [])


async def test_untrusted_certificate(mail_server: FakeMailServer) -> None:
    """An untrusted certificate is rejected before the password is sent."""
    answer = await _send(SmtpPool(mail_server.server(tls="starttls", username=LOGIN[0], password=LOGIN[1])))
    assert isinstance(answer, ServerDown)
    assert "certificate verify failed" in answer.text
    assert (mail_server.logins, mail_server.accepted) == ([], [])


async def test_certificate_of_another_server(tmp_path: Path) -> None:
    """A trusted certificate of another address is rejected before the password is sent."""
    certificate, context = self_signed(tmp_path, "127.0.0.2")
    trusted = ssl.create_default_context(cafile=certificate)
    async with running(tls=context, login=LOGIN) as mail_server:
        server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=LOGIN[1])
        answer = await _send(SmtpPool(server))
        assert isinstance(answer, ServerDown)
        assert "127.0.0.1" in answer.text
        assert (mail_server.logins, mail_server.accepted) == ([], [])


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_with_uvloop(pair: tuple[Path, ssl.SSLContext], trusted: ssl.SSLContext, tls: str) -> None:
    """The event loop of the mailer hands over its connections too, which are not those of asyncio."""

    async def work() -> None:
        options = {} if tls == "none" else {"tls": pair[1], "is_tls_from_start": tls == "tls"}
        async with running(**options) as mail_server:
            pool = SmtpPool(mail_server.server(tls=tls, context=None if tls == "none" else trusted, connections=1))
            data = b"Message-ID: <s1@shop.example>\r\n\r\n" + b".x\r\n" * 60_000
            answers = await asyncio.gather(*(pool.send(FROM, TO, data, lambda: None) for _ in range(4)))
            assert answers == [Accepted("Q1")] * 4
            assert mail_server.bodies == [data] * 4
            assert mail_server.connections == (2 if tls == "starttls" else 1)  # aiosmtpd counts the change to TLS
            await pool.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


async def test_the_name_in_ehlo() -> None:
    """EHLO gives the name that the settings say."""
    async with running() as mail_server:
        assert await _send(SmtpPool(mail_server.server(helo_name="xn--smrrebrd-64af.dk"))) == Accepted("Q1")
        assert mail_server.names == ["xn--smrrebrd-64af.dk"]


@pytest.mark.parametrize(
    ("lines", "phase", "code", "status"),
    [
        ([b"554 5.7.1 not you\r\n"], "connect", 554, "5.7.1"),
        ([b"421 4.7.0 busy \xff\x1b[31m\r\n"], "connect", 421, "4.7.0"),
        (
            [b"220 hi\r\n", b"504 5.5.2 <me>: Helo rejected\r\n", b"504 5.5.2 <me>: Helo rejected\r\n"],
            "helo",
            504,
            "5.5.2",
        ),
        ([b"220 hi\r\n", b"421 4.3.2 later\r\n"], "helo", 421, "4.3.2"),
        ([b"hello\r\n"], "connect", -1, None),
        ([b"220-" + b"x" * 1000 + b"\r\n"] * 50, "connect", -1, None),
        ([b""], "connect", None, None),
    ],
)
async def test_refused_connections(lines: list[bytes], phase: str, code: int | None, status: str | None) -> None:
    """A refusal while connecting has its phase, code and status, and its text is printable, whatever the server sends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, line in enumerate(lines):
            if number and lines[0].startswith(b"220 "):
                await reader.readline()
            writer.write(line)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer = await SmtpPool(Server(host="127.0.0.1", port=port, connections=2)).send(FROM, TO, DATA, lambda: None)
    assert isinstance(answer, ServerDown)
    assert (answer.phase, answer.code, answer.status, answer.is_connecting) == (phase, code, status, True)
    assert answer.text.isprintable()
    assert len(answer.text) < 700
    server.close()
