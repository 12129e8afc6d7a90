"""Every mail of the flows in both languages, as a customer reads it: no word or markup changes unseen.

After a change that is meant: `TAKK_GOLDEN=write make test ARGS=tests/golden`, then read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from streams.mail.mime import compose
from streams.mail.rendering.renderer import Renderer
from tests.harness.commands import NOW, SENDER, TEMPLATES, command, example

MAILS = Path(__file__).parent / "mails"
PURPOSES = {"review": "review", "thank-you": "marketing", "goes-well-with": "marketing"}
MESSAGES = sorted(path.relative_to(TEMPLATES) for path in TEMPLATES.glob("flows/*/*/*.html.j2"))
GMAIL_CUTS_AT = 102_000


def _same(name: str, found: bytes) -> None:
    path = MAILS / name
    if os.environ.get("TAKK_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(found)
    assert path.read_bytes().decode() == found.decode(), f"{name} changed: see the top of this file"


def _greeted(flow: str) -> dict[str, Any]:
    """Return the flow's example as a worker of an earlier version wrote it: with a greeting in words, not a mood.

    Such commands are on the topic during an upgrade. The files hold that their emails stay the same; `test_render.py` has the moods.
    """
    context = example(flow)
    del context["mood"]
    return {"greeting": "Godmorgen Anna", **context}


@pytest.mark.parametrize("locale", ["da", "en"])
@pytest.mark.parametrize("path", MESSAGES, ids=str)
def test_mail(path: Path, locale: str) -> None:
    """Subject, text and HTML are those of the golden file."""
    flow, message = path.parent.name, path.name.removesuffix(".html.j2")
    order = command(
        flow=flow,
        message=message,
        locale=locale,
        purpose=PURPOSES.get(flow, "order"),
        tracking=flow == "review",
        context=_greeted(flow),
    )
    words = Renderer(TEMPLATES, "Butik Ø").render(order, SENDER.links(order))
    _same(f"{flow}.{message}.{locale}.txt", f"Subject: {words.subject}\n\n{words.text}".encode())
    _same(f"{flow}.{message}.{locale}.html", words.html.encode())
    assert len(words.html.encode()) < GMAIL_CUTS_AT


def test_bytes_on_the_wire() -> None:
    """One whole mail, headers and encoding."""
    order = command(flow="review", message="ask", purpose="review", to_name="Åse Ørsted", context=_greeted("review"))
    links = SENDER.links(order)
    words = Renderer(TEMPLATES, "Butik Ø").render(order, links)
    _same("review.ask.da.eml", compose(SENDER, order, words, links, NOW))
