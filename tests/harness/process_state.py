"""The state of other processes of this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path


def is_running(pid: int) -> bool:
    """Return whether a process runs. One that has ended may be listed until its parent notes it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended.

    Raises:
        TimeoutError: it has not.
    """
    deadline = time.monotonic() + 90
    while is_running(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} runs")
        time.sleep(0.01)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that other processes lead to."""
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - no event of this process shows it
            await asyncio.sleep(0.01)
