"""Every email of the flows in both languages is the same as its golden file, in text and markup.

After an intended change, run `TAKK_GOLDEN=write make test ARGS=tests/golden` and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from streams.definitions.loader import load_email_brand
from streams.mail.click_links import track_links
from streams.mail.mime import compose
from streams.mail.rendering.renderer import Renderer
from tests.harness.commands import NOW, SENDER, TEMPLATES, command, example

#: The brand of Takk's templates, with a name that is not ASCII.
BRAND = replace(load_email_brand(TEMPLATES, ""), name="Butik Ø")
MAILS = Path(__file__).parent / "mails"
PURPOSES = {
    path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))["purpose"]
    for path in TEMPLATES.glob("flows/*/*/flow.yaml")
}
MESSAGES = sorted(path.relative_to(TEMPLATES) for path in TEMPLATES.glob("flows/*/*/*.html.j2"))
GMAIL_CUTS_AT = 102_000
#: Renderers with the templates as they are written, and with flat templates.
RENDERER, FLAT_RENDERER = Renderer(TEMPLATES, BRAND), Renderer(TEMPLATES, BRAND, flat_after=0)


def _assert_same(name: str, content: bytes) -> None:
    path = MAILS / name
    if os.environ.get("TAKK_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    assert path.read_bytes().decode() == content.decode(), f"{name} changed: see the top of this file"


def _with_greeting(flow: str, message: str) -> dict[str, Any]:
    """Return the flow's example as a worker of an earlier version wrote it: with a greeting in words, not a mood.

    Such commands are on the topic during an upgrade, and their emails must stay the same. `test_renderer.py` tests the moods.
    """
    context = example(flow, message)
    del context["mood"]
    return {"greeting": "Godmorgen Anna", **context}


@pytest.mark.parametrize("locale", ["da", "en"])
@pytest.mark.parametrize("path", MESSAGES, ids=str)
def test_email(path: Path, locale: str) -> None:
    """Subject, text and HTML are those of the golden file. In one language they are also written by flat templates."""
    flow, message = path.parent.name, path.name.removesuffix(".html.j2")
    order = command(
        flow=flow,
        message=message,
        locale=locale,
        purpose=PURPOSES[flow],
        tracking=flow in ("review", "goes-well-with"),
        context=_with_greeting(flow, message),
    )
    links = SENDER.links(order)
    rendered = RENDERER.render(order, links)
    assert locale != "da" or FLAT_RENDERER.render(order, links) == rendered
    email = track_links(rendered, links, SENDER)
    _assert_same(f"{flow}.{message}.{locale}.txt", f"Subject: {email.subject}\n\n{email.text}".encode())
    _assert_same(f"{flow}.{message}.{locale}.html", email.html.encode())
    assert len(email.html.encode()) < GMAIL_CUTS_AT


def test_bytes_of_an_email() -> None:
    """The headers and the encoding of one email are those of the golden file."""
    order = command(
        flow="review", message="ask", purpose="review", to_name="Åse Ørsted", context=_with_greeting("review", "ask")
    )
    links = SENDER.links(order)
    email = RENDERER.render(order, links)
    _assert_same("review.ask.da.eml", compose(SENDER, order, email, links, NOW))
