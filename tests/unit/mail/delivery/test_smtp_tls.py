"""TLS and logins against a real server: what goes in, what is refused, and that no password is sent in the clear or told."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streams.mail.delivery.smtp import Accepted, Answer, ServerDown, SmtpPool
from streams.mail.mailer import Mailer
from streams.mail.rendering.renderer import Renderer
from tests.harness.certificates import self_signed
from tests.harness.commands import NOW, SENDER, TEMPLATES, command
from tests.harness.smtp_server import FakeMailServer, running

FROM, TO = "shop@shop.example", "anna@post.example"
LOGIN = ("shop", "the right password")
WRONG = "not-the-password"
DATA = b"Message-ID: <s1@shop.example>\r\n\r\nhi\r\n"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """The certificate of the server, and its context."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(pair: tuple[Path, ssl.SSLContext]) -> ssl.SSLContext:
    """What a client that trusts the server's certificate uses."""
    return ssl.create_default_context(cafile=pair[0])


@pytest.fixture
async def mail_server(pair: tuple[Path, ssl.SSLContext]) -> AsyncIterator[FakeMailServer]:
    """A server that offers STARTTLS and wants a login."""
    async with running(tls=pair[1], login=LOGIN) as server:
        yield server


async def _send(pool: SmtpPool) -> Answer:
    answer = await pool.send(FROM, TO, DATA, lambda: None)
    await pool.close()
    return answer


async def test_starttls_and_login(mail_server: FakeMailServer, trusted: ssl.SSLContext) -> None:
    """With STARTTLS and the right password mails go out, all over TLS, on one connection that logged in once."""
    server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=LOGIN[1])
    pool = SmtpPool(server)
    assert await pool.send(FROM, TO, DATA, lambda: None) == Accepted("Q1")
    assert await _send(pool) == Accepted("Q1")
    assert (mail_server.logins, mail_server.was_over_tls) == ([("shop", True)], [True, True])


async def test_tls_from_the_first_byte(pair: tuple[Path, ssl.SSLContext], trusted: ssl.SSLContext) -> None:
    """The same on a port that speaks TLS from the start."""
    async with running(tls=pair[1], is_tls_from_start=True, login=LOGIN) as mail_server:
        server = mail_server.server(tls="tls", context=trusted, username=LOGIN[0], password=LOGIN[1])
        assert await _send(SmtpPool(server)) == Accepted("Q1")
        assert (mail_server.logins, mail_server.was_over_tls) == ([("shop", True)], [True])


async def test_certificate_of_ones_own(
    mail_server: FakeMailServer, pair: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that only this installation trusts is named by SSL_CERT_FILE, as for every other program."""
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    server = mail_server.server(tls="starttls", username=LOGIN[0], password=LOGIN[1])
    assert await _send(SmtpPool(server)) == Accepted("Q1")


async def test_wrong_password(mail_server: FakeMailServer, trusted: ssl.SSLContext) -> None:
    """A login that is refused sends nothing and loses nothing; it says which settings to look at, and not the password."""
    server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=WRONG)
    answer = await _send(SmtpPool(server))
    assert isinstance(answer, ServerDown)
    assert "535" in answer.text
    assert "SMTP_USERNAME" in answer.text
    assert (set(mail_server.logins), mail_server.taken) == ({("shop", False)}, [])  # one try for each way to log in
    assert WRONG not in answer.text + repr(server) + repr(answer)


async def test_wrong_password_is_not_logged(
    mail_server: FakeMailServer, trusted: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    """A mailer that waits because its login is refused logs why; neither its own lines nor a library's hold the password."""
    caplog.set_level(logging.DEBUG, logger="aiosmtplib")
    is_stopping = False

    def on_pause(is_paused: bool) -> None:
        nonlocal is_stopping
        is_stopping = is_paused or is_stopping

    def clock() -> datetime:
        return NOW

    server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=WRONG)
    mailer = Mailer(Renderer(TEMPLATES, "Shop"), SENDER, SmtpPool(server), on_pause=on_pause, clock=clock)
    with capture_logs() as lines:
        reports = await mailer.deliver([(command(), "send")], lambda send_id: None, lambda: is_stopping)
    assert reports == []
    assert any("535" in str(line.get("reason")) for line in lines)
    assert WRONG not in str(lines) + caplog.text


async def test_server_without_starttls(trusted: ssl.SSLContext) -> None:
    """Where STARTTLS is demanded, a server that does not offer it gets neither password nor mail, and the reason names STARTTLS."""
    async with running(login=LOGIN) as mail_server:
        server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=LOGIN[1])
        answer = await _send(SmtpPool(server))
        assert isinstance(answer, ServerDown)
        assert "STARTTLS" in answer.text
        assert (mail_server.logins, mail_server.taken) == ([], [])


async def test_untrusted_certificate(mail_server: FakeMailServer) -> None:
    """A certificate that nobody here trusts is refused before the password is sent."""
    answer = await _send(SmtpPool(mail_server.server(tls="starttls", username=LOGIN[0], password=LOGIN[1])))
    assert isinstance(answer, ServerDown)
    assert "certificate verify failed" in answer.text
    assert (mail_server.logins, mail_server.taken) == ([], [])


async def test_certificate_of_another_server(tmp_path: Path) -> None:
    """A trusted certificate that is for another address is refused before the password is sent."""
    certificate, context = self_signed(tmp_path, "127.0.0.2")
    trusted = ssl.create_default_context(cafile=certificate)
    async with running(tls=context, login=LOGIN) as mail_server:
        server = mail_server.server(tls="starttls", context=trusted, username=LOGIN[0], password=LOGIN[1])
        answer = await _send(SmtpPool(server))
        assert isinstance(answer, ServerDown)
        assert "127.0.0.1" in answer.text
        assert (mail_server.logins, mail_server.taken) == ([], [])
