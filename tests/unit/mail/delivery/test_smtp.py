"""The pool against a real server: what each answer means, and that connections are kept, renewed and never hung on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streams.mail.delivery import smtp
from streams.mail.delivery.smtp import Accepted, Answer, Refused, Server, ServerDown, SmtpPool, Unknown
from tests.harness.smtp_server import DROP, Post, running

FROM, TO = "shop@shop.example", "anna@post.example"


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    """A server."""
    async with running() as server:
        yield server


async def _send(pool: SmtpPool, send_id: str = "s1", begun: list[str] | None = None) -> Answer:
    data = f"Message-ID: <{send_id}@shop.example>\r\n\r\n.hi\r\n".encode()
    return await pool.send(FROM, TO, data, lambda: (begun if begun is not None else []).append(send_id))


async def test_one_connection_for_many_mails(post: Post) -> None:
    """Mails go over a warm connection; the server's own name for each comes back; leading dots survive."""
    pool = SmtpPool(post.server())
    assert [await _send(pool, f"s{n}") for n in range(5)] == [Accepted("Q1")] * 5
    assert post.connections == 1
    assert post.taken == ["s0", "s1", "s2", "s3", "s4"]
    assert post.bodies[0].endswith(b"\r\n\r\n.hi\r\n")
    await pool.close()


async def test_no_more_connections_than_allowed(post: Post) -> None:
    """Twenty mails at once take two connections."""
    pool = SmtpPool(post.server(connections=2))
    await asyncio.gather(*(_send(pool, f"s{n}") for n in range(20)))
    assert sorted(post.taken) == sorted(f"s{n}" for n in range(20))
    assert post.most_at_once == 2
    await pool.close()


@pytest.mark.parametrize("phase", ["rcpt", "data"])
@pytest.mark.parametrize(
    ("answer", "is_final", "is_hard"),
    [("451 4.3.0 later", False, False), ("550 5.1.1 no such user", True, True), ("550 5.7.1 policy", True, False)],
)
async def test_refusals(post: Post, phase: str, answer: str, is_final: bool, is_hard: bool) -> None:
    """4xx and 5xx are this mail's refusal; the connection serves the next one."""
    post.answers[phase] = [answer]
    pool = SmtpPool(post.server())
    refusal = await _send(pool)
    assert isinstance(refusal, Refused)
    assert (refusal.code, refusal.is_final, refusal.is_hard) == (int(answer[:3]), is_final, is_hard)
    assert refusal.phase == phase
    assert await _send(pool, "s2") == Accepted("Q1")
    assert (post.connections, post.taken) == (1, ["s2"])
    await pool.close()


async def test_address_is_not_told(post: Post) -> None:
    """A server that repeats the address in its refusal does not get it into our records."""
    post.answers["rcpt"] = [f"550 5.1.1 <{TO}> is unknown"]
    refusal = await _send(SmtpPool(post.server()))
    assert isinstance(refusal, Refused)
    assert "anna" not in refusal.text


async def test_sender_refused_is_nobodys_bounce(post: Post) -> None:
    """A sender that is refused for good would be so for every mail: the work waits, no address is blamed."""
    post.answers["mail"] = ["553 5.1.8 sender unknown"]
    assert isinstance(await _send(SmtpPool(post.server())), ServerDown)


async def test_broken_after_data_is_unknown(post: Post) -> None:
    """A connection that breaks between the data and its answer says nothing: the mail is not sent again here."""
    post.answers["data"] = [DROP]
    begun: list[str] = []
    assert isinstance(await _send(SmtpPool(post.server()), begun=begun), Unknown)
    assert (begun, post.taken) == (["s1"], ["s1"])


async def test_broken_before_data_is_tried_once_more(post: Post) -> None:
    """A warm connection that turns out dead is replaced before the data begins, which is marked once."""
    pool = SmtpPool(post.server())
    await _send(pool)
    post.answers["rcpt"] = [DROP]
    begun: list[str] = []
    assert await _send(pool, "s2", begun) == Accepted("Q1")
    assert (begun, post.taken, post.connections) == (["s2"], ["s1", "s2"], 2)
    post.answers["mail"] = ["421 4.4.2 enough mails on this connection"]
    assert await _send(pool, "s3") == Accepted("Q1")
    assert post.connections == 3
    await pool.close()


async def test_idle_connection_is_not_trusted_for_long(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was idle too long is replaced without a mail being sent into it."""
    pool = SmtpPool(post.server())
    await _send(pool)
    monkeypatch.setattr(smtp, "FRESH_S", -1.0)
    assert await _send(pool, "s2") == Accepted("Q1")
    assert post.connections == 2
    await pool.close()


async def test_server_down(post: Post) -> None:
    """No server is ServerDown, told with host and port, before any data; when it is back, mails go again."""
    pool = SmtpPool(post.server())
    post.close()
    begun: list[str] = []
    answer = await _send(pool, begun=begun)
    assert isinstance(answer, ServerDown)
    assert f"127.0.0.1:{post.port}" in answer.text
    assert begun == []
    await post.open()
    assert await _send(pool) == Accepted("Q1")
    await pool.close()


async def test_silent_server_holds_nobody_for_long() -> None:
    """A server that takes connections and says nothing costs the mails that wait one timeout together, not one each."""
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    pool = SmtpPool(Server(host="127.0.0.1", port=port, connections=2, timeout_s=0.3))
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(_send(pool, f"s{n}") for n in range(60)))
    assert {type(answer) for answer in answers} == {ServerDown}
    silent.close()


async def test_login_refused_and_no_tls(post: Post) -> None:
    """A login that fails and a server without STARTTLS are ServerDown: no mail goes out unprotected, none is lost."""
    login = SmtpPool(post.server(username="shop", password="not the one"))
    assert isinstance(await _send(login), ServerDown)
    tls = SmtpPool(post.server(tls="starttls"))
    assert isinstance(await _send(tls), ServerDown)
    assert post.taken == []
    assert "not the one" not in repr(post.server(password="not the one"))
