"""The typography of the shipped messages: signs as each language writes them, in HTML and in plain text."""

from __future__ import annotations

import re
from functools import cache

import pytest

from streams.definitions.loader import load_email_brand
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from tests.harness.commands import SENDER, TEMPLATES, command, example
from tests.harness.shipped_emails import ShippedEmail, shipped_emails

#: The first line after the headline, in each language.
GREETINGS = {"da": "Hej Anna,", "nb": "Hei, Anna", "sv": "Hej Anna!", "nl": "Hoi Anna,", "en": "Hi Anna,"}
CASES = shipped_emails()


@cache
def _renderer() -> Renderer:
    return Renderer(TEMPLATES, load_email_brand(TEMPLATES, ""))


@cache
def _rendered(case: ShippedEmail) -> RenderedEmail:
    context = example(case.flow)
    context["customer"] = {**context.get("customer", {}), "first_name": "Anna"}
    context["mood"] = "plain"
    context.pop("local_time", None)
    order = command(flow=case.flow, message=case.message, locale=case.language, context=context)
    return _renderer().render(order, SENDER.links(order))


@pytest.mark.parametrize("language", GREETINGS)
def test_the_greeting_ends_as_the_language_asks(language: str) -> None:
    """A comma is right in Danish, Dutch and English; Norwegian (Språkrådet) has one before the name only, and Swedish an exclamation mark."""
    for case in [case for case in CASES if case.language == language]:
        email = _rendered(case)
        assert f"\n{GREETINGS[language]}\n" in email.text, case.name
        greeting = re.search(r'<p class="greeting"[^>]*>([^<]*)</p>', email.html)
        assert greeting is not None, case.name
        assert greeting[1] == GREETINGS[language], case.name


@pytest.mark.parametrize(
    ("language", "greeting"), [("da", "Hej,"), ("nb", "Hei"), ("sv", "Hej!"), ("nl", "Hoi,"), ("en", "Hi,")]
)
def test_the_greeting_of_somebody_without_a_first_name(language: str, greeting: str) -> None:
    """Nothing is left of the name: neither a space nor a sign before it."""
    context = {**example("order-confirmation"), "customer": {"first_name": ""}, "mood": "plain"}
    order = command(locale=language, context=context)
    assert f"\n{greeting}\n" in _renderer().render(order, SENDER.links(order)).text
