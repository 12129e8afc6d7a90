"""The typography of the shipped messages: signs as each language writes them, in HTML and in plain text."""

from __future__ import annotations

import re
from functools import cache

import pytest
from babel import Locale

from streams.definitions.loader import load_email_brand
from streams.mail.rendering.filters import formats_of
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from tests.harness.commands import SENDER, TEMPLATES, command, example
from tests.harness.shipped_emails import ShippedEmail, shipped_emails

#: The first line after the headline, in each language.
GREETINGS = {"da": "Hej Anna,", "nb": "Hei, Anna", "sv": "Hej Anna!", "nl": "Hoi Anna,", "en": "Hi Anna,"}
CASES = shipped_emails()
#: A hyphen where a minus belongs: before an amount, and after no letter, digit or hyphen.
HYPHEN_FOR_MINUS = re.compile(r"(?<![\w./-])-\s?(?:\d|[€£$¥]|[A-Z]{3}\s?\d)")
#: The letter x where a times sign belongs.
LETTER_FOR_TIMES = re.compile(r"\d(?: [a-z]+)? x ")
#: An order in the middle of a line, with a capital that its language does not write there.
CAPITAL_INSIDE = re.compile(
    r"(?<=[(\w,] )(?:Ordre|Bestilling|Order|Bestelling) \d|\((?:Ordre|Bestilling|Order|Bestelling) \d"
)


@cache
def _renderer() -> Renderer:
    return Renderer(TEMPLATES, load_email_brand(TEMPLATES, ""))


@cache
def _rendered(case: ShippedEmail) -> RenderedEmail:
    context = example(case.flow, case.message)
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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_signs_of_amounts_and_quantities(case: ShippedEmail) -> None:
    """The signs for minus and times are not a hyphen and a letter. An order inside a line starts with a small letter."""
    email = _rendered(case)
    words = re.sub(r"(?s)<(style|script|head).*?</\1>|<!--.*?-->|<[^>]*>", " ", email.html)
    for text in (re.sub(r"https?://\S+", "", email.text), words):
        for pattern in (HYPHEN_FOR_MINUS, LETTER_FOR_TIMES):
            assert pattern.findall(text) == []
    assert CAPITAL_INSIDE.findall(email.text) == []


@pytest.mark.parametrize(
    ("locale", "currency", "amount"),
    [
        ("da_DK", "DKK", "−1.234,50 kr."), ("nb_NO", "NOK", "−1 234,50 kr"), ("sv_SE", "SEK", "−1 234,50 kr"),
        ("nl_NL", "EUR", "€ −1.234,50"), ("en_GB", "GBP", "−£1,234.50"), ("en_GB", "DKK", "−DKK 1,234.50"),
        ("en_US", "USD", "−$1,234.50"), ("de_CH", "CHF", "CHF−1’234.50"), ("ja_JP", "USD", "−$1,234.50"),
    ],
)  # fmt: skip
def test_negative_amounts(locale: str, currency: str, amount: str) -> None:
    """The sign is U+2212 where the language writes it. A code of letters has a space before the digits (CLDR)."""
    assert formats_of(Locale.parse(locale)).amount(-123_450, currency).replace("\xa0", " ") == amount


@pytest.mark.parametrize(
    ("locale", "yen", "yuan"),
    [
        ("da_DK", "1.234 JPY", "12,34 CNY"), ("nb_NO", "1 234 JPY", "12,34 CNY"), ("sv_SE", "1 234 JPY", "12,34 CNY"),
        ("nl_NL", "JPY 1.234", "CNY 12,34"), ("en_GB", "JPY 1,234", "CNY 12.34"), ("en_US", "¥1,234", "CNY 12.34"),
        ("de_DE", "1.234 ¥", "12,34 CNY"), ("zh_CN", "JPY 1,234", "¥12.34"),
    ],
)  # fmt: skip
def test_yen_and_yuan(locale: str, yen: str, yuan: str) -> None:
    """The sign that two currencies share stands for one of them at most. The other one has its code, not JP¥ or CN¥."""
    formats = formats_of(Locale.parse(locale))
    assert formats.amount(1_234, "JPY").replace("\xa0", " ") == yen
    assert formats.amount(1_234, "CNY").replace("\xa0", " ") == yuan


@pytest.mark.parametrize(
    ("locale", "rate"),
    [
        ("da_DK", "12,5 %"), ("nb_NO", "12,5 %"), ("sv_SE", "12,5 %"), ("nl_NL", "12,5%"), ("nl_BE", "12,5%"), ("en_GB", "12.5%"),
        ("en_DK", "12,5%"), ("de_DE", "12,5 %"), ("de_CH", "12.5%"), ("tr_TR", "%12,5"),
    ],
)  # fmt: skip
def test_percent(locale: str, rate: str) -> None:
    """The space before the sign is that of the locale. English has none, also where its numbers are those of another country."""
    assert formats_of(Locale.parse(locale)).percent("12.5").replace("\xa0", " ") == rate
