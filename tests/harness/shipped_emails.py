"""The shipped messages as customers receive them, in every language that their copies exist in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import yaml
from msgspec import Struct

from streams.core.rules.consent_policy import is_transactional
from streams.mail.click_links import track_links
from streams.mail.links import Sender
from streams.mail.mime import compose
from streams.mail.rendering.renderer import Renderer
from streams.mail.rendering.template_folders import COPY, flow_folders
from streams.mail.tokens import LinkKeys
from streams.tools.local.inbox.mail import ReceivedEmail
from tests.harness.commands import TEMPLATES, command, example

BASE_URL = "https://links.example"


class ShippedEmail(Struct, frozen=True):
    """A shipped message in one language."""

    flow: str
    message: str
    language: str

    @property
    def name(self) -> str:
        """The name of the case."""
        return f"{self.flow}.{self.message}.{self.language}"


def shipped_emails() -> list[ShippedEmail]:
    """Return all messages in all languages of their flows' copies."""
    return [
        ShippedEmail(flow, path.name.removesuffix(".html.j2"), copy.stem)
        for flow, folder in sorted(flow_folders(TEMPLATES).items())
        for path in sorted(folder.glob("*.html.j2"))
        for copy in sorted((folder / COPY).glob("*.yaml"))
    ]


def templates_in_all_languages(folder: Path) -> Path:
    """Copy the templates, and offer every language that any copy exists in; return the folder."""
    copied = folder / "templates"
    shutil.copytree(TEMPLATES, copied)
    languages = sorted({each.language for each in shipped_emails()}, key=lambda language: (language != "en", language))
    (copied / "languages.yaml").write_text(yaml.safe_dump({"languages": languages}))
    return copied


def received(renderer: Renderer, keys: LinkKeys, case: ShippedEmail, at: datetime, customer_id: str) -> ReceivedEmail:
    """Return a message as it arrives at the customer's mail server.

    Args:
        renderer: renders it.
        keys: seal its links.
        case: the message and its language.
        at: when it was decided.
        customer_id: the customer.
    """
    sender = Sender.parse("Butik Ø <hej@shop.example>", "shop.example", BASE_URL, keys)
    flow = yaml.load((flow_folders(TEMPLATES)[case.flow] / "flow.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    ordered = command(
        send_id=f"s-{customer_id}",
        customer_id=customer_id,
        flow=case.flow,
        message=case.message,
        locale=case.language,
        purpose=flow["purpose"],
        tracking=not is_transactional(flow["purpose"]),
        commanded_at=at,
        context=example(case.flow, case.message),
    )
    links = sender.links(ordered)
    email = track_links(renderer.render(ordered, links), links, sender)
    return ReceivedEmail(1, [ordered.to_address], compose(sender, ordered, email, links, at), 0)


def all_received(renderer: Renderer, keys: LinkKeys, at: datetime) -> Iterator[tuple[ShippedEmail, ReceivedEmail]]:
    """Yield all messages in all languages. Each goes to another customer."""
    for case in shipped_emails():
        yield case, received(renderer, keys, case, at, f"c-{case.name}")
