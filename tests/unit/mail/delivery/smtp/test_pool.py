"""The connection pool with a fake server: the meaning of each reply, and the reuse and renewal of connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streams.mail.delivery.smtp import pool as pool_module
from streams.mail.delivery.smtp.answers import Accepted, Answer, Refused, ServerDown, Unknown
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.smtp.server import Server, Timeouts
from streams.observability import metrics
from tests.harness.smtp_in_memory import GOOD, InMemoryServer, Script
from tests.harness.smtp_server import DROP, FakeMailServer, running
from tests.harness.virtual_time import run

FROM, TO = "shop@shop.example", "anna@post.example"


@pytest.fixture(params=[True, False], ids=["pipelining", "one by one"])
async def mail_server(request: pytest.FixtureRequest) -> AsyncIterator[FakeMailServer]:
    """A server without TLS and login."""
    async with running(is_pipelining=request.param) as server:
        yield server


async def _send(pool: SmtpPool, send_id: str = "s1", begun: list[str] | None = None) -> Answer:
    data = f"Message-ID: <{send_id}@shop.example>\r\n\r\n.hi\r\n".encode()
    return await pool.send(FROM, TO, data, lambda: (begun if begun is not None else []).append(send_id))


async def test_emails_share_a_connection(mail_server: FakeMailServer) -> None:
    """Emails use an open connection. The server's id of each is returned, and leading dots arrive."""
    pool = SmtpPool(mail_server.server())
    assert [await _send(pool, f"s{n}") for n in range(5)] == [Accepted("Q1")] * 5
    assert mail_server.connections == 1
    assert mail_server.accepted == ["s0", "s1", "s2", "s3", "s4"]
    assert mail_server.bodies[0].endswith(b"\r\n\r\n.hi\r\n")
    await pool.close()


async def test_connections_are_limited(mail_server: FakeMailServer) -> None:
    """Twenty simultaneous emails use two connections."""
    pool = SmtpPool(mail_server.server(connections=2))
    await asyncio.gather(*(_send(pool, f"s{n}") for n in range(20)))
    assert sorted(mail_server.accepted) == sorted(f"s{n}" for n in range(20))
    assert mail_server.most_at_once == 2
    await pool.close()


def test_an_envelope_leaves_with_the_message_before_it() -> None:
    """On a busy connection, an email takes one write: its message, and the envelope of the next email."""

    async def send_all() -> list[bytes]:
        server = InMemoryServer()
        pool = SmtpPool(Server(host="memory", port=25, connections=1), open_connection=server.open_connection)
        answers = await asyncio.gather(*(_send(pool, f"s{n}") for n in range(20)))
        assert answers == [Accepted("Q1")] * 20
        assert len(server.accepted) == 20
        return server.writes

    writes = run(send_all())
    # The first message is answered alone, and nothing follows the last.
    assert [b"\r\n.\r\nMAIL FROM" in write for write in writes] == [False] * 3 + [True] * 18 + [False]


@pytest.mark.parametrize("phase", ["rcpt", "data"])
@pytest.mark.parametrize(
    ("answer", "is_final", "is_hard"),
    [("451 4.3.0 later", False, False), ("550 5.1.1 no such user", True, True), ("550 5.7.1 policy", True, False)],
)
async def test_refusals(mail_server: FakeMailServer, phase: str, answer: str, is_final: bool, is_hard: bool) -> None:
    """4xx and 5xx refuse this email only; the connection is used for the next one."""
    mail_server.answers[phase] = [answer]
    pool = SmtpPool(mail_server.server())
    refusal = await _send(pool)
    assert isinstance(refusal, Refused)
    assert (refusal.code, refusal.is_final, refusal.is_hard) == (int(answer[:3]), is_final, is_hard)
    assert refusal.phase == {"rcpt": "rcpt", "data": "dot"}[phase]
    assert await _send(pool, "s2") == Accepted("Q1")
    assert (mail_server.connections, mail_server.accepted) == (1, ["s2"])
    await pool.close()


async def test_a_refusal_has_no_address(mail_server: FakeMailServer) -> None:
    """An address that the server repeats in its reply is removed."""
    mail_server.answers["rcpt"] = [f"550 5.1.1 <{TO}> is unknown"]
    refusal = await _send(SmtpPool(mail_server.server()))
    assert isinstance(refusal, Refused)
    assert "anna" not in refusal.text


async def test_a_refused_sender_is_not_a_bounce(mail_server: FakeMailServer) -> None:
    """A permanently refused sender would fail every email, so the server counts as down and no address bounces."""
    mail_server.answers["mail"] = ["553 5.1.8 sender unknown"]
    assert isinstance(await _send(SmtpPool(mail_server.server())), ServerDown)


async def test_a_break_after_the_data_is_unknown(mail_server: FakeMailServer) -> None:
    """If the connection breaks between the data and its reply, the outcome is unknown. The pool does not send the email again."""
    mail_server.answers["data"] = [DROP]
    begun: list[str] = []
    assert isinstance(await _send(SmtpPool(mail_server.server()), begun=begun), Unknown)
    assert (begun, mail_server.accepted) == (["s1"], ["s1"])


async def test_a_break_before_the_data_is_retried(mail_server: FakeMailServer) -> None:
    """A dead idle connection is replaced before the data begins. The beginning is marked once."""
    pool = SmtpPool(mail_server.server())
    await _send(pool)
    mail_server.answers["rcpt"] = [DROP]
    begun: list[str] = []
    assert await _send(pool, "s2", begun) == Accepted("Q1")
    assert (begun, mail_server.accepted, mail_server.connections) == (["s2"], ["s1", "s2"], 2)
    mail_server.answers["mail"] = ["421 4.4.2 enough mails on this connection"]
    assert await _send(pool, "s3") == Accepted("Q1")
    assert mail_server.connections == 3
    await pool.close()


async def test_an_old_idle_connection_is_replaced(mail_server: FakeMailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was idle too long is replaced before an email is sent through it."""
    pool = SmtpPool(mail_server.server())
    await _send(pool)
    monkeypatch.setattr(pool_module, "FRESH_S", -1.0)
    assert await _send(pool, "s2") == Accepted("Q1")
    assert mail_server.connections == 2
    await pool.close()


async def test_server_down(mail_server: FakeMailServer) -> None:
    """An unreachable server is ServerDown with host and port, before any data. When it is back, emails are sent."""
    pool = SmtpPool(mail_server.server())
    mail_server.close()
    begun: list[str] = []
    answer = await _send(pool, begun=begun)
    assert isinstance(answer, ServerDown)
    assert f"127.0.0.1:{mail_server.port}" in answer.text
    assert begun == []
    await mail_server.open()
    assert await _send(pool) == Accepted("Q1")
    await pool.close()


async def test_a_silent_server_costs_one_timeout() -> None:
    """All emails that wait for a silent server wait for one timeout together."""
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    pool = SmtpPool(Server(host="127.0.0.1", port=port, connections=2, timeouts=Timeouts(greeting_s=0.3)))
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(_send(pool, f"s{n}") for n in range(60)))
    assert {type(answer) for answer in answers} == {ServerDown}
    silent.close()


async def test_a_failed_login_and_missing_tls(mail_server: FakeMailServer) -> None:
    """A rejected login and a missing STARTTLS are ServerDown: no email is sent unprotected or lost."""
    login = SmtpPool(mail_server.server(username="shop", password="not the one"))
    assert isinstance(await _send(login), ServerDown)
    tls = SmtpPool(mail_server.server(tls="starttls"))
    assert isinstance(await _send(tls), ServerDown)
    assert mail_server.accepted == []
    assert "not the one" not in repr(mail_server.server(password="not the one"))


def _counted(name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a metric: label values in the order of the labels -> value."""
    families = [family for family in metrics.REGISTRY.collect() if family.name == name]
    samples = [sample for family in families for sample in family.samples]
    return {tuple(sample.labels.values()): sample.value for sample in samples}


async def test_answers_are_counted_by_provider(mail_server: FakeMailServer) -> None:
    """Each answer counts for the provider of the recipient, and a refusal also with its reason and kind. No label is an address."""
    answers, refusals = _counted("takk_smtp_answers"), _counted("takk_smtp_refusals")
    mail_server.answers["rcpt"] = ["250 OK", "450 4.2.2 full", "550 5.7.28 spam rate"]
    pool = SmtpPool(mail_server.server())
    for recipient in ("a@gmail.com", "b@gmail.com", "c@yahoo.de"):
        await pool.send(FROM, recipient, b"Message-ID: <s1@shop.example>\r\n\r\nhi\r\n", lambda: None)
    await pool.close()
    mail_server.close()
    await pool.send(FROM, TO, b"", lambda: None)

    def rises(name: str, before: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
        return {key: value - before.get(key, 0) for key, value in _counted(name).items() if value != before.get(key, 0)}

    assert rises("takk_smtp_answers", answers) == {
        ("gmail", "accepted"): 1,
        ("gmail", "deferred"): 1,
        ("yahoo", "refused"): 1,
        ("other", "down"): 1,
    }
    assert rises("takk_smtp_refusals", refusals) == {
        ("gmail", "mailbox_full", "temporary"): 1,
        ("yahoo", "spam_rate", "permanent"): 1,
    }


async def test_connections_are_counted(mail_server: FakeMailServer) -> None:
    """The gauge follows the open connections: idle ones count, failed and closed ones do not."""
    pool = SmtpPool(mail_server.server(connections=3))
    assert _counted("takk_smtp_connections_limit") == {(): 3}
    await asyncio.gather(_send(pool, "s1"), _send(pool, "s2"))
    assert _counted("takk_smtp_connections") == {(): 2}
    await pool.close()
    mail_server.close()
    await _send(pool, "s3")
    assert _counted("takk_smtp_connections") == {(): 0}


NO_ANSWER_YET = b"250 2.0.0 Ok: queued as SLOW\r\n"


@pytest.mark.parametrize("is_pipelining", [True, False])
def test_emails_left_behind_leave_room_for_others(is_pipelining: bool) -> None:
    """Their connections do not count, up to half the limit. Once they are answered, the limit holds again."""

    async def work() -> None:
        script = Script(
            lambda command, recipient: (
                NO_ANSWER_YET if command == "." and recipient.startswith("slow") else GOOD[command]
            ),
            lambda data: [(540.0 if data == NO_ANSWER_YET else 0.0, data)],
            is_pipelining=is_pipelining,
        )
        server = InMemoryServer(script)
        pool = SmtpPool(Server(host="memory", port=25, connections=2), open_connection=server.open_connection)

        def send(name: str) -> asyncio.Task[Answer]:
            return asyncio.ensure_future(pool.send(FROM, f"{name}@post.example", b"hi\r\n", lambda: None))

        slow = [send("slow1"), send("slow2")]
        waiting = send("a")
        await asyncio.sleep(5)
        assert not waiting.done()
        pool.leave_behind(slow[0])
        await asyncio.sleep(5)
        assert waiting.result() == Accepted("Q1")
        pool.leave_behind(slow[1])
        assert await asyncio.gather(*map(send, "bcde")) == [Accepted("Q1")] * 4
        assert server.most_at_once == 3
        assert await asyncio.gather(*slow) == [Accepted("SLOW")] * 2
        await asyncio.sleep(5)
        assert server.at_once == 2
        assert await asyncio.gather(*map(send, "fghi")) == [Accepted("Q1")] * 4
        assert (server.most_at_once, server.violations) == (3, [])
        await pool.close()

    run(work())


def test_a_task_without_an_email_is_not_left_behind() -> None:
    """Its email has its answer, or has not begun: the limit holds."""

    async def work() -> None:
        server = InMemoryServer()
        pool = SmtpPool(Server(host="memory", port=25, connections=1), open_connection=server.open_connection)
        task = asyncio.ensure_future(pool.send(FROM, TO, b"hi\r\n", lambda: None))
        pool.leave_behind(task)
        await task
        pool.leave_behind(task)
        await asyncio.gather(*(pool.send(FROM, TO, b"hi\r\n", lambda: None) for _ in range(5)))
        assert server.most_at_once == 1
        await pool.close()

    run(work())
