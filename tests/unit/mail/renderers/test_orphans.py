"""A renderer process never outlives its mailer, however the mailer ends."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.harness.fragile_renderer import HANGING
from tests.harness.process_state import is_running, wait_for_end

#: Starts a renderer, gives it an email for the recipient that is the argument, and prints the renderer's process id.
MAILER = """
import asyncio, sys
from streams.mail.renderers.messages import Setup
from streams.mail.renderers.pool import RendererPool
from streams.mail.rendering.email_brand import EmailBrand
from tests.harness.commands import NOW, SENDER, TEMPLATES, command
from tests.harness.fragile_renderer import start_fragile

async def main():
    pool = RendererPool(Setup(TEMPLATES, SENDER, EmailBrand(name=SENDER.name)), 1, start_renderer=start_fragile)
    await pool.start()
    await pool.until_ready()
    emails = pool.compose([(command(to_name=sys.argv[1]), NOW)])
    print(pool.ready[0].pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("name", ["", HANGING], ids=["idle", "rendering"])
def test_a_renderer_ends_with_a_killed_mailer(name: str) -> None:
    """After kill -9 of the mailer its renderer ends, also while it renders."""
    with subprocess.Popen([sys.executable, "-c", MAILER, name], stdout=subprocess.PIPE, text=True) as mailer:
        assert mailer.stdout is not None
        renderer = int(mailer.stdout.readline())
        assert is_running(renderer)
        mailer.send_signal(signal.SIGKILL)
    wait_for_end(renderer)
