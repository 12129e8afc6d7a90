"""Work beside a process: the process raises its errors, and does not wait for it when it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streams.agents.process import beside

#: Work without an end, in a process that ends as soon as it has begun.
PROGRAM = """
import asyncio, threading
from streams.agents.process import beside

begun = threading.Event()

def work():
    begun.set()
    threading.Event().wait()

async def main():
    task = asyncio.create_task(beside(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()

asyncio.run(main())
print("ended")
"""


async def test_an_error_is_raised() -> None:
    """The error of the work is the error of the caller."""

    def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await beside(work)
    await beside(lambda: None)


def test_the_process_ends_before_the_work() -> None:
    """A process that stops does not wait for the work."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr
