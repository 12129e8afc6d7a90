"""A renderer process that ends or hangs at certain emails, by the name of their recipient. The others get a short text."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import datetime

from streams.mail.command import Command
from streams.mail.renderers.child import main
from streams.mail.renderers.emails import Email, EmailWriter
from streams.mail.renderers.process import start_child

ENDING, HANGING, FAILING = "ending", "hanging", "failing"


def body_of(send_id: str) -> bytes:
    """Return the bytes of an email."""
    return f"Message-ID: <{send_id}@shop.example>\r\n\r\nText\r\n".encode()


class FragileWriter(EmailWriter):
    """Ends its process, hangs or fails at the emails to recipients of these names."""

    def write(self, command: Command, now: datetime) -> Email:
        """Return a short email."""
        if command.to_name == ENDING:
            os.kill(os.getpid(), signal.SIGSEGV)
        while command.to_name == HANGING:
            time.sleep(60)
        if command.to_name == FAILING:
            raise ArithmeticError(command.to_address)
        return Email(body_of(command.send_id), seconds=0.001)


def start_fragile(descriptor: int) -> subprocess.Popen[bytes]:
    """Start such a process."""
    return start_child(descriptor, __name__)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), FragileWriter)
