"""The mailer with renderer processes: each email is sent once, whatever happens to its renderer."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter

from msgspec.structs import replace

from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.mailer import Mailer
from streams.mail.renderers.messages import Setup
from streams.mail.renderers.pool import RendererPool
from streams.mail.rendering.email_brand import EmailBrand
from tests.harness.commands import NOW, SENDER, TEMPLATES, command
from tests.harness.fragile_renderer import ENDING, FAILING, start_fragile
from tests.harness.mailer_setup import InMemoryStore
from tests.harness.process_state import until
from tests.harness.smtp_server import running


async def test_a_resend_that_ends_its_renderers_is_unknown() -> None:
    """The first copy of an email that is sent again may have arrived, so its outcome is unknown; that of a first send is refused."""
    renderers = RendererPool(Setup(TEMPLATES, SENDER, EmailBrand(name=SENDER.name)), 1, start_renderer=start_fragile)
    await renderers.start()
    await renderers.until_ready()
    async with running() as server:
        mailer = Mailer(renderers, SENDER, SmtpPool(server.server()), clock=lambda: NOW)
        marks = DeliveryMarks(InMemoryStore([]), "disk-1", "boot-1")
        items = [
            (command(send_id=f"s{number}", to_name=name), plan)
            for number, (name, plan) in enumerate(
                [(ENDING, "send"), (ENDING, "resend"), (FAILING, "send"), (FAILING, "resend")]
            )
        ]
        async with asyncio.timeout(90):
            reports = await mailer.deliver(items, marks, lambda: False)
        await mailer.close()
    await renderers.stop()
    outcomes = {report.command.send_id: (report.outcome, report.rule) for report in reports}
    assert outcomes == {
        "s0": ("refused", "crashed"), "s1": ("unknown", "crashed"), "s2": ("refused", "failed"), "s3": ("unknown", "failed"),
    }  # fmt: skip
    assert server.accepted == []


async def test_a_killed_renderer_loses_and_doubles_no_email() -> None:
    """One renderer at a time is killed while 300 emails are sent. The server accepts each email once; the one that ends renderers is refused."""
    first = command()
    commands = [replace(first, send_id=f"s{number}", to_name=ENDING if number == 150 else "") for number in range(300)]
    renderers = RendererPool(Setup(TEMPLATES, SENDER, EmailBrand(name=SENDER.name)), 2, start_renderer=start_fragile)
    await renderers.start()
    await renderers.until_ready()
    async with running() as server:
        mailer = Mailer(renderers, SENDER, SmtpPool(server.server()), clock=lambda: NOW)
        marks = DeliveryMarks(InMemoryStore([]), "disk-1", "boot-1")
        delivery = asyncio.ensure_future(mailer.deliver([(each, "send") for each in commands], marks, lambda: False))
        for accepted in (20, 80, 200):
            await until(lambda accepted=accepted: len(server.accepted) >= accepted and renderers.ready)
            # Not both at once: an email that ends two renderers is refused.
            pid = renderers.ready[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(90):
            reports = await delivery
        await mailer.close()
    await renderers.stop()
    outcomes = {report.command.send_id: (report.outcome, report.rule) for report in reports}
    assert len(reports) == len(outcomes) == 300
    assert outcomes.pop("s150") == ("refused", "crashed")
    assert set(outcomes.values()) == {("sent", "accepted")}
    assert Counter(server.accepted) == Counter(list(outcomes))
