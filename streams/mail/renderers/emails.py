"""The bytes of one email, or the problem that prevents it: the same in the mailer and in a renderer process."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from streams.mail.click_links import track_links
from streams.mail.command import Command
from streams.mail.links import Links, Sender
from streams.mail.mime import Unsendable, compose
from streams.mail.rendering.render_errors import IncorrectDocument, MissingMessage, RenderError
from streams.mail.rendering.renderer import RenderedEmail

#: Why there is no email: see `Unsendable`, `MissingMessage`, `IncorrectDocument` and `RenderError`; any other exception; its renderer
#: ended or was silent, twice.
Problem: TypeAlias = Literal["unsendable", "missing_message", "incorrect_document", "unrenderable", "failed", "crashed"]


class Email(Struct, frozen=True, array_like=True, gc=False):
    """A composed email, or its problem.

    Attributes:
        data: its bytes, or nothing after a problem.
        problem: the problem, or None.
        text: the details of the problem, without customer data.
        seconds: how long it took.
        lacks: what the receipt in the email lacks to be the invoice that the shop has issued, or "".
    """

    data: bytes
    problem: Problem | None = None
    text: str = ""
    seconds: float = 0.0
    lacks: str = ""


class RendersCommands(Protocol):
    """A renderer of commands."""

    def render(self, command: Command, links: Links) -> RenderedEmail:
        """Return the rendered email."""


class EmailWriter:
    """Renders commands and composes their emails.

    Args:
        renderer: renders a command.
        sender: the sender of the emails.
    """

    def __init__(self, renderer: RendersCommands, sender: Sender) -> None:
        self._renderer = renderer
        self._sender = sender

    def write(self, command: Command, now: datetime) -> Email:
        """Return the email of a command.

        Args:
            command: the command, with its products.
            now: the time of the header Date, UTC.

        Raises:
            Exception: a defect of this program.
        """
        started = time.perf_counter()
        links = self._sender.links(command)
        try:
            rendered = track_links(self._renderer.render(command, links), links, self._sender)
            data = compose(self._sender, command, rendered, links, now)
        except Unsendable as error:
            return Email(b"", "unsendable", error.reason, time.perf_counter() - started)
        except MissingMessage as error:
            return Email(b"", "missing_message", str(error), time.perf_counter() - started)
        except IncorrectDocument as error:
            return Email(b"", "incorrect_document", str(error), time.perf_counter() - started)
        except RenderError as error:
            return Email(b"", "unrenderable", str(error), time.perf_counter() - started)
        lacks = rendered.attachment.lacks if rendered.attachment is not None else ()
        return Email(data, seconds=time.perf_counter() - started, lacks=", ".join(lacks))
