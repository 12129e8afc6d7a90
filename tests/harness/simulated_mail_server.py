"""The mailer stage with a simulated mail server, which accepts emails, gives other answers, or kills the mailer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from streams.agents import mailer
from streams.core.values.local_time import utc_from_ms
from streams.mail.delivery.smtp.answers import Accepted, Answer, ServerDown
from streams.mail.mailer import Mailer
from streams.mail.rendering.renderer import RenderedEmail
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC, Agent, Output
from tests.harness.commands import SENDER
from tests.harness.effects import SEND
from tests.harness.records import AT_MS

AT = utc_from_ms(AT_MS)


class Killed(BaseException):
    """The process was killed."""


class PlainRenderer:
    """Renders every email to the same short text."""

    def render(self, command: Any, links: Any) -> RenderedEmail:
        """Return an email."""
        return RenderedEmail("Subject", "<p>Text</p>", "Text")


class InDialogue(ServerDown):
    """Trouble that came with one email, on an open connection."""

    is_connecting = False


class Server:
    """A mail server that answers after `seconds`, and can kill the mailer.

    Attributes:
        accepted: the recipients of the accepted emails.
        answers: recipient -> its answers, before it accepts.
        seconds_of: recipient -> the seconds until the answer, where they are not `seconds`.
        steps_left: the begun and accepted emails until the mailer is killed.
        on_begun: called when the data of an email begins.
    """

    answer_timeout_s = 600.0

    def __init__(self, size: int = 4, seconds: float = 0.0) -> None:
        self.size = size
        self.seconds = seconds
        self.accepted: list[str] = []
        self.answers: dict[str, list[Answer]] = {}
        self.seconds_of: dict[str, float] = {}
        self.steps_left = -1
        self.on_begun: Callable[[], None] = lambda: None
        self._slots = asyncio.Semaphore(size)

    def step(self) -> None:
        """Kill the mailer if it is time."""
        self.steps_left -= 1
        if self.steps_left == 0:
            raise Killed

    def leave_behind(self, task: asyncio.Task[Any]) -> None:
        """Do nothing: the connections of this server are enough."""

    async def send(self, sender: str, recipient: str, data: bytes, on_begun: Callable[[], None]) -> Answer:
        """Send one email as `SmtpPool.send` does."""
        async with self._slots:
            answers = self.answers.get(recipient)
            if answers:
                return answers.pop(0)
            on_begun()
            self.on_begun()
            self.step()
            await asyncio.sleep(self.seconds_of.get(recipient, self.seconds))
            self.accepted.append(recipient)
            self.step()
            return Accepted("Q1")


def agent_of(
    folder: Path,
    server: Server,
    uncommitted: Mapping[bytes, bytes | None] | None = None,
    patience_s: float = 30.0,
    heartbeat_s: int = 0,
) -> Agent:
    """Return the mailer stage, sending to `server`."""
    renderer: Any = PlainRenderer()
    pool: Any = server
    work = Mailer(renderer, SENDER, pool, clock=lambda: AT, patience_s=patience_s)
    return Agent(
        folder,
        lambda app, instrumentation: mailer.register(
            app, instrumentation, work, heartbeat_s, uncommitted=lambda topic, partition: uncommitted or {}
        ),
    )


def command_records(count: int, purpose: Any = "order") -> list[Output]:
    """Return `count` commands, each to its own recipient `0@post.example`, `1@post.example`, ..."""
    encode = Encoder(CODEC).effects.encode
    outputs = []
    for number in range(count):
        effect = replace(SEND, send_id=f"s{number}", to_address=f"{number}@post.example", purpose=purpose)
        topic, key, value, _ = encode(effect, AT)
        outputs.append((topic, key, value))
    return outputs


def outcomes(outputs: list[Output]) -> dict[str, list[tuple[str, str]]]:
    """Return outcome and reason of each send, from the reports."""
    codec, found = open_codec(), {}
    for topic, _, value in outputs:
        if topic == topics.EVENTS:
            event = codec.decode("email_event", value or b"")
            found.setdefault(event["send_id"], []).append((event["outcome"], event["reason"]))
    return found
