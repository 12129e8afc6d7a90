"""The renderer processes: the same bytes as in the mailer, and no email is lost when one of them ends or hangs."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.mail.command import Command
from streams.mail.renderers.emails import Email, EmailWriter
from streams.mail.renderers.messages import Setup
from streams.mail.renderers.pool import RendererFailed, RendererPool
from streams.mail.renderers.process import start_child
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import Renderer
from streams.mail.rendering.template_folders import messages_by_flow
from streams.observability import metrics
from tests.harness.commands import NOW, SENDER, TEMPLATES, WRONG_INVOICE, command
from tests.harness.fragile_renderer import ENDING, FAILING, HANGING, body_of, start_fragile
from tests.harness.process_state import is_running, until

SETUP = Setup(TEMPLATES, SENDER, EmailBrand(name=SENDER.name))
PURPOSES = {"review": "review", "thank-you": "marketing", "goes-well-with": "marketing"}


@asynccontextmanager
async def running(size: int = 1, **options: Any) -> AsyncIterator[RendererPool]:
    """Renderers that are ready."""
    pool = RendererPool(SETUP, size, **options)
    await pool.start()
    try:
        await pool.until_ready()
        yield pool
    finally:
        await pool.stop()


async def composed(pool: RendererPool, *commands: Command) -> list[Email]:
    """Return the emails of commands."""
    async with asyncio.timeout(90):
        return await asyncio.gather(*pool.compose((each, NOW) for each in commands))


def pids(pool: RendererPool) -> set[int]:
    """Return the process ids of the renderers that are ready."""
    return {process.pid for process in pool.ready if process.pid is not None}


def named(name: str, send_id: str) -> Command:
    """Return a command to a recipient of this name."""
    return command(send_id=send_id, to_name=name)


def text_of(email: Email) -> tuple[str | None, str]:
    """Return the problem of an email, and its content."""
    return email.problem, email.text or email.data.decode()


async def test_the_bytes_are_those_of_the_mailer() -> None:
    """Each message of the flows, in several languages, is the same byte by byte, and so are the problems of those without an email."""
    commands = [
        command(
            flow=flow, message=message, locale=locale, to_name="Åse Ørsted", send_id=f"{flow}.{message}.{locale}",
            purpose=PURPOSES.get(flow, "order"), tracking=flow == "review",
        )
        for flow, messages in messages_by_flow(TEMPLATES).items()
        for message in messages
        for locale in ("da", "en", "de-AT", "xx")
    ]  # fmt: skip
    commands += [
        command(attach="invoice"), command(attach="invoice", context=WRONG_INVOICE), command(attach="credit-note"),
        command(message="missing"), command(context={"customer": {}}), command(flow="../x"), command(to_address="a@b\r\nBcc: c@d"),
    ]  # fmt: skip
    writer = EmailWriter(Renderer(TEMPLATES, EmailBrand(name=SENDER.name)), SENDER)
    expected = [text_of(writer.write(each, NOW)) for each in commands]
    async with running(2) as pool:
        assert list(map(text_of, await composed(pool, *commands))) == expected
    assert {problem for problem, _ in expected} == {
        None,
        "missing_message",
        "unrenderable",
        "unsendable",
        "incorrect_document",
    }


async def test_the_order_is_kept() -> None:
    """One renderer composes the emails in the order in which they were asked for."""
    done: list[bytes] = []
    async with running(start_renderer=start_fragile) as pool:
        emails = pool.compose((named("", f"s{number}"), NOW) for number in range(200))
        for email in emails:
            email.add_done_callback(lambda email: done.append(email.result().data))
        await asyncio.wait(emails)
        await asyncio.sleep(0)
    assert done == [body_of(f"s{number}") for number in range(200)]


async def test_a_killed_renderer_loses_no_email() -> None:
    """After kill -9 of each renderer, all emails are composed by other processes, each once."""
    restarts = metrics.RENDERER_RESTARTS.labels("ended")
    before = restarts._value.get()
    async with running(2, start_renderer=start_fragile) as pool:
        first = pids(pool)
        emails = pool.compose((named("", f"s{number}"), NOW) for number in range(2000))
        await emails[100]
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(90):
            found = await asyncio.gather(*emails)
        await until(lambda: len(pool.ready) == 2)
        assert not first & pids(pool)
    assert [email.data for email in found] == [body_of(f"s{number}") for number in range(2000)]
    assert restarts._value.get() == before + 2


async def test_an_email_that_ends_its_renderer() -> None:
    """It is given up after it has ended a renderer twice, alone in it. The emails beside it are composed."""
    async with running(start_renderer=start_fragile) as pool:
        emails = await composed(pool, named("", "a"), named(ENDING, "b"), named("", "c"), named("", "d"))
    assert [email.problem for email in emails] == [None, "crashed", None, None]
    assert emails[1].text == "a renderer process ended 2 times while it composed this email"


async def test_an_email_without_an_end() -> None:
    """A renderer that returns nothing is ended, and its email is given up like one that ends its renderer."""
    silent = metrics.RENDERER_RESTARTS.labels("silent")
    before = silent._value.get()
    async with running(start_renderer=start_fragile, silence_s=2.0) as pool:
        (email,) = await composed(pool, named(HANGING, "a"))
        assert email.problem == "crashed"
        assert (await composed(pool, named("", "b")))[0].data == body_of("b")
    assert silent._value.get() == before + 2


async def test_a_defect_concerns_one_email() -> None:
    """An unexpected exception is returned as the problem of its email: its type, and no text."""
    async with running(start_renderer=start_fragile) as pool:
        failed, other = await composed(pool, named(FAILING, "a"), named("", "b"))
    assert (failed.problem, failed.text, other.data) == ("failed", "ArithmeticError", body_of("b"))


async def test_a_cancelled_email_is_not_composed() -> None:
    """An email that nobody awaits any more is left out, if its turn has not come."""
    async with running(start_renderer=start_fragile) as pool:
        emails = pool.compose((named("", f"s{number}"), NOW) for number in range(50))
        (ending,) = pool.compose([(named(ENDING, "x"), NOW)])
        ending.cancel()
        await asyncio.wait(emails)
        first = pids(pool)
        await composed(pool, named("", "a"))
        assert pids(pool) == first


async def test_a_clean_stop_ends_the_processes() -> None:
    """At a stop all processes end, the hanging one too, and what is not composed is cancelled."""
    pool = RendererPool(SETUP, 2, start_renderer=start_fragile)
    await pool.start()
    await pool.until_ready()
    running = pids(pool)
    emails = pool.compose([(named(HANGING, "a"), NOW), (named(HANGING, "b"), NOW), (named("", "c"), NOW)])
    await asyncio.sleep(0)
    await pool.stop()
    assert len(running) == 2
    assert not [pid for pid in running if is_running(pid)]
    assert all(email.cancelled() for email in emails)


async def test_a_renderer_that_cannot_start(tmp_path: Any) -> None:
    """A renderer that ends while it starts is an error at the start of the mailer."""
    pool = RendererPool(
        Setup(tmp_path, SENDER, EmailBrand(name=SENDER.name)),
        1,
        start_renderer=lambda descriptor: start_child(descriptor, "streams.missing"),
    )
    await pool.start()
    with pytest.raises(RendererFailed):
        await pool.until_ready()
    await pool.stop()


async def test_a_switch_to_other_templates(tmp_path: Path) -> None:
    """All emails are composed, those that were asked for after the switch with the other templates; the old processes end."""
    other = tmp_path / "templates"
    shutil.copytree(TEMPLATES, other)
    for copy in (other / "flows").glob("*/*/copy/en.yaml"):
        texts = re.sub(r"(?m)^(\S+\.subject): .*$", r'\1: "Newer words"', copy.read_text(encoding="utf-8"))
        copy.write_text(texts, encoding="utf-8")
    asked = [command(send_id=f"s{number}", locale="en") for number in range(60)]
    async with running(2) as pool:
        first = pids(pool)
        before = pool.compose((each, NOW) for each in asked)
        await pool.switch(Setup(other, SENDER, EmailBrand(name=SENDER.name)))
        after = await composed(pool, *asked)
        async with asyncio.timeout(90):
            earlier = await asyncio.gather(*before)
        assert not first & pids(pool)
        await until(lambda: not any(is_running(pid) for pid in first))
        assert len(pool.ready) == 2
    assert {email.problem for email in (*earlier, *after)} == {None}
    assert all(b"Newer words" in email.data for email in after)
    assert b"Newer words" not in earlier[0].data


async def test_a_switch_that_fails() -> None:
    """If a renderer does not start with the other templates, the present ones go on."""
    starts = 0

    def start(descriptor: int) -> subprocess.Popen[bytes]:
        nonlocal starts
        starts += 1
        return start_fragile(descriptor) if starts != 4 else subprocess.Popen(["false"])

    async with running(2, start_renderer=start) as pool:
        first = pids(pool)
        with pytest.raises(RendererFailed):
            async with asyncio.timeout(90):
                await pool.switch(SETUP)
        assert pids(pool) == first
        (email,) = await composed(pool, named("", "s1"))
        await until(lambda: pool._newer == [])
    assert email.problem is None
