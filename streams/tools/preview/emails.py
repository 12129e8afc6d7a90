"""The messages of a templates folder, and each of them as an email, without Kafka and without a mail server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.consent_policy import Purpose
from streams.core.rules.flow import Flow, Send
from streams.definitions.checks.languages import languages_of
from streams.definitions.checks.shop_brand import brand_of
from streams.definitions.loader import Templates, read_templates
from streams.mail.command import Command
from streams.mail.links import Links, Sender
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.languages import read_languages
from streams.mail.rendering.render_errors import RenderError
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from streams.mail.rendering.template_folders import SHARED, flow_folders, message_names
from streams.mail.tokens import LinkKeys
from streams.tools.preview.examples import InvalidExample, example_names, read_example

if TYPE_CHECKING:
    from streams.tools.preview.gallery import GalleryEmail

#: Where the links of shown emails lead: no such host exists (RFC 2606).
LINK_BASE = "https://links.example"
#: The purpose of a message that no step sends: such an email has every link.
_PURPOSE: Purpose = "marketing"
#: The time of all shown emails, so that two renderings of one are the same.
_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_KEYS = LinkKeys("preview", b"the links of shown emails lead nowhere")


class EmailFailed(RuntimeError):
    """A message that cannot be shown as an email. The text says why."""


@dataclass(frozen=True, order=True)
class Variant:
    """A message in one language with one example of its data."""

    flow: str
    message: str
    language: str
    example: str

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.flow}.{self.message}.{self.language}.{self.example}"


def shown_name(email: Variant | GalleryEmail) -> str:
    """Return the name of an email for people."""
    return f"{email.flow}/{email.message} {email.language} {email.example}"


@dataclass(frozen=True)
class Message:
    """A message of a flow.

    Attributes:
        flow, name: the flow and the message.
        group: the folder that the flow is in.
        folder: the folder of the flow.
        languages: the languages in which it must be complete, in the order of the shop.
        examples: the names of the examples of its data, the shop's own first.
        definition: the newest version of the flow, or None if it contains errors.
        step: the first step that sends it, or None.
    """

    flow: str
    name: str
    group: str
    folder: Path
    languages: tuple[str, ...]
    examples: tuple[str, ...]
    definition: Flow | None = None
    step: Send | None = None

    @property
    def purpose(self) -> Purpose:
        """The purpose with which the message is sent."""
        return self.step.purpose if self.step is not None else _PURPOSE


@dataclass
class Emails:
    """The messages of a templates folder at one moment, rendered on demand. Methods may be called from several threads.

    Args:
        root: the templates folder.
        sender: the header From of shown emails.
    """

    root: Path
    sender: str = "Shop <shop@shop.example>"
    _lock: Lock = field(default_factory=Lock)
    _rendered: dict[Variant, RenderedEmail | EmailFailed] = field(default_factory=dict)

    @cached_property
    def templates(self) -> Templates:
        """The flows, segments and rules, with their problems."""
        return read_templates(self.root)

    @cached_property
    def flows(self) -> dict[str, Flow]:
        """The newest version of each flow without errors."""
        return {flow.name: flow for flow in self.templates.newest}

    @cached_property
    def messages(self) -> dict[tuple[str, str], Message]:
        """The messages by flow and name, sorted by group, flow and name."""
        found: list[Message] = []
        order = {name: number for number, name in enumerate(read_languages(self.root).named)}
        for name, folder in flow_folders(self.root).items():
            flow = self.flows.get(name)
            steps = list(CompiledFlow(flow).steps.values()) if flow is not None else []
            sends = {step.message: step for step in reversed(steps) if isinstance(step, Send)}
            languages = tuple(
                sorted(languages_of(self.root, folder), key=lambda name: (order.get(name, len(order)), name))
            )
            for message in message_names(folder):
                step = sends.get(message)
                examples = example_names(folder, message, step)
                found.append(
                    Message(
                        name, message, folder.parent.name, folder, languages, examples, flow if step else None, step
                    )
                )
        found.sort(key=lambda message: (message.group, message.flow, message.name))
        return {(message.flow, message.name): message for message in found}

    def variants(self, *, has_samples: bool = False) -> Iterator[Variant]:
        """Yield each message in each language with each example.

        Args:
            has_samples: whether sample data counts although the flow has examples of its own.
        """
        for message in self.messages.values():
            for example in example_names(message.folder, message.name, message.step, has_samples=has_samples):
                for language in message.languages:
                    yield Variant(message.flow, message.name, language, example)

    def email(self, variant: Variant) -> RenderedEmail:
        """Return the email of a message, language and example.

        Raises:
            EmailFailed: the message is unknown, cannot be rendered, or its example cannot be read.
        """
        with self._lock:
            if variant not in self._rendered:
                try:
                    command = self.command(variant)
                    self._rendered[variant] = self._renderer.render(command, self.links(command))
                except (RenderError, InvalidExample) as error:
                    self._rendered[variant] = EmailFailed(str(error))
            email = self._rendered[variant]
        if isinstance(email, EmailFailed):
            raise email
        return email

    def rendered(self, command: Command) -> RenderedEmail:
        """Return the email of a command. It is not remembered.

        Raises:
            EmailFailed: it cannot be rendered.
        """
        with self._lock:
            try:
                return self._renderer.render(command, self.links(command))
            except RenderError as error:
                raise EmailFailed(str(error)) from error

    def command(self, variant: Variant, send_id: str = "preview", to: str = "customer@post.example") -> Command:
        """Return the command to send an email.

        Raises:
            EmailFailed: the message is unknown.
            InvalidExample: the example cannot be read.
        """
        message = self.messages.get((variant.flow, variant.message))
        if message is None:
            raise EmailFailed(f"unknown message {variant.flow}/{variant.message}")
        context = dict(read_example(message.folder, variant.example, message.definition, message.step))
        order, customer = context.get("order"), context.get("customer")
        return Command(
            send_id=send_id,
            customer_id="preview",
            instance_id="preview",
            flow=variant.flow,
            flow_version=message.definition.version if message.definition is not None else 1,
            step=message.step.path if message.step is not None else "0",
            message=variant.message,
            purpose=message.purpose,
            priority=message.step.priority if message.step is not None else 50,
            not_after=_AT + timedelta(days=2),
            to_address=to,
            to_name="",
            locale=variant.language,
            time_zone="Europe/Copenhagen",
            country=_text(customer, "country") or "DK",
            order_id=_text(order, "order_id"),
            attach=message.step.attach if message.step is not None else "",
            context_json=json.dumps(context),
            tracking=False,
            attempt=1,
            commanded_at=_AT,
            raw=b"",
        )

    def links(self, command: Command) -> Links:
        """Return the links that an email of this purpose has. They lead nowhere."""
        return self.shown_sender.links(command)

    @cached_property
    def shown_sender(self) -> Sender:
        """The sender of shown emails."""
        return Sender.parse(self.sender, "shop.example", LINK_BASE, _KEYS)

    @property
    def pictures(self) -> Path:
        """The folder with the pictures of examples. It may be missing."""
        return self.root / SHARED / "pictures"

    @cached_property
    def shop_name(self) -> str:
        """The name of the shop in its brand."""
        return self._brand.name

    @cached_property
    def _brand(self) -> EmailBrand:
        return brand_of(self.root)

    @cached_property
    def _renderer(self) -> Renderer:
        return Renderer(self.root, self._brand)


def _text(part: Any, name: str) -> str:
    value = part.get(name) if isinstance(part, dict) else None
    return value if isinstance(value, str) else ""
