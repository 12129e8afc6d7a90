"""The errors of messages, found in a process of its own: rendering every message takes seconds, and a mailer has emails to send meanwhile.

`python -m streams.definitions.message_errors FOLDER` prints them as JSON.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from streams.definitions.checks.messages import check_messages
from streams.definitions.layers import Layers
from streams.definitions.loader import read_templates
from streams.definitions.problems import FlowFileError, Problem

#: Seconds after which the check is given up.
TIMEOUT_S = 300.0
#: The check gives way to everything else: see nice(1).
_NICENESS = 10


class CheckFailed(Exception):
    """The check itself failed. The text says why."""


async def refuse_message_errors(layers: Layers) -> None:
    """Check every message of a templates folder.

    Raises:
        FlowFileError: a message cannot be rendered.
        CheckFailed: the check did not end, or ended with an error.
        OSError: it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        str(layers.path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        raise CheckFailed(f"the messages could not be checked within {TIMEOUT_S:.0f} s") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if process.returncode:
        raise CheckFailed(f"the check of the messages ended with the code {process.returncode}")
    if problems := layers.shown(msgspec.json.decode(output, type=list[Problem])):
        raise FlowFileError(problems)


def main(folder: str) -> None:
    """Print the errors of the messages of a templates folder."""
    os.nice(_NICENESS)
    root = Path(folder)
    sys.stdout.buffer.write(msgspec.json.encode(list(check_messages(root, read_templates(root).flows))))


if __name__ == "__main__":
    main(sys.argv[1])
