"""Rendering: language, money and time the customer's way, nothing injected, and no mail's data stops the others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from streams.mail.links import Links
from streams.mail.rendering.renderer import RenderedEmail, Renderer, RenderError
from tests.harness.commands import TEMPLATES, command, example

NO_LINKS = Links(unsubscribe=None, pixel=None, review="https://links.example/r/x")
EVIL = '<script>alert(1)</script>"{{ 7 * 7 }}'


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """The real templates."""
    return Renderer(TEMPLATES, "Butik Ø")


def _house(tmp_path: Path, **files: str) -> Renderer:
    """Templates of a test: one flow `f` with a message `m`."""
    texts = {
        "flows/g/f/m.html.j2": "<p>x</p>",
        "flows/g/f/m.txt.j2": "x",
        "flows/g/f/copy/en.yaml": "m.subject: Hello",
    } | files
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Renderer(tmp_path, "Shop")


def _m(renderer: Renderer, **changes: Any) -> RenderedEmail:
    return renderer.render(command(**{"flow": "f", "message": "m", "context": {}, "locale": "en"} | changes), NO_LINKS)


def test_html_in_data_is_words(renderer: Renderer) -> None:
    """A name or a title with markup or Jinja in it is shown as it is written, and does nothing."""
    context = example("order-confirmation")
    context["customer"]["first_name"] = EVIL
    context["order"]["lines"][0]["title"] = EVIL
    words = renderer.render(command(context=context), NO_LINKS)
    assert "<script>alert" not in words.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;{{ 7 * 7 }}" in words.html
    assert f"Godmorgen {EVIL}," in words.text
    (facts,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', words.html, re.DOTALL)
    assert json.loads(facts)["acceptedOffer"][0]["itemOffered"]["name"] == EVIL


def test_data_in_copy_is_escaped(renderer: Renderer) -> None:
    """What the copy takes from the data is escaped once: not never, not twice."""
    context = example("order-confirmation")
    context["order"]["order_id"] = "<b>&"
    words = renderer.render(command(context=context), NO_LINKS)
    assert "ordre &lt;b&gt;&amp;. Vi har" in words.html
    assert words.subject == "Tak for din ordre <b>&"


def test_subject_is_one_line(renderer: Renderer) -> None:
    """Line breaks in the data do not reach the subject."""
    context = example("order-confirmation")
    context["order"]["order_id"] = "1\r\nBcc: all@post.example"
    assert renderer.render(command(context=context), NO_LINKS).subject == "Tak for din ordre 1 Bcc: all@post.example"


@pytest.mark.parametrize(
    ("locale", "country", "total", "window"),
    [
        ("da", "DK", "649,00\xa0kr.", "onsdag den 25. november 2026, kl. 10.00–13.00"),
        ("en-GB", "GB", "649.00", "Wednesday, 25 November 2026, 10:00–13:00"),
        ("en", "DK", "649,00", "Wednesday, 25 November 2026, 10.00–13.00"),
        ("de-DE", "DE", "649", "Wednesday, 25 November 2026, 10:00–13:00"),
        ("not a locale/../..", "??", "649.00", "Wednesday, November 25, 2026"),
    ],
)
def test_money_and_time_the_customers_way(
    renderer: Renderer, locale: str, country: str, total: str, window: str
) -> None:
    """Money and dates follow the copy's language, the customer's country and time zone (the window is 9 to 12 in UTC)."""
    order = renderer.render(command(locale=locale, country=country), NO_LINKS)
    assert total.replace("\xa0", " ") in order.text.replace("\xa0", " ")
    parcel = command(flow="shipment-confirmation", message="shipped", locale=locale, country=country)
    assert window in renderer.render(parcel, NO_LINKS).text


def test_clock_is_of_the_customers_zone(renderer: Renderer) -> None:
    """The same moment is another time in another zone, also when both were asked for before."""
    texts = [
        renderer.render(
            command(flow="shipment-confirmation", message="shipped", locale="en-GB", country="GB", time_zone=zone),
            NO_LINKS,
        ).text
        for zone in ("Europe/London", "Asia/Tokyo", "Europe/London", "Mars/Olympus")
    ]
    assert ["09:00–12:00" in text for text in texts] == [True, False, True, True]
    assert "18:00–21:00" in texts[1]


def test_unknown_language_reads_english(renderer: Renderer) -> None:
    """A language without copy reads English, and says so to screen readers."""
    words = renderer.render(command(locale="fi"), NO_LINKS)
    assert words.subject == "Thank you for your order 1001"
    assert '<html lang="en" dir="ltr">' in words.html


@pytest.mark.parametrize(
    ("mood", "danish", "english"),
    [
        ("plain", "Hej Anna", "Hi Anna"),
        ("morning", "Godmorgen Anna", "Good morning Anna"),
        ("weekend", "God weekend Anna", "Have a great weekend Anna"),
        ("christmas", "God jul Anna", "Merry Christmas Anna"),
        ("of a newer version", "Hej Anna", "Hi Anna"),
    ],
)
def test_greetings(renderer: Renderer, mood: str, danish: str, english: str) -> None:
    """The mood's words in the language of the copy; a mood that is not known is greeted plainly."""
    context = example("review") | {"mood": mood}
    for locale, greeting in (("da-DK", danish), ("en-GB", english), ("fi", english)):
        words = renderer.render(command(flow="review", message="ask", locale=locale, context=context), NO_LINKS)
        assert words.text.startswith(f"{greeting},\n")
        assert f">{greeting}</h1>" in words.html


def test_greeting_without_a_name(renderer: Renderer) -> None:
    """The words stand alone if the name is unknown."""
    context = example("review") | {"greeting": ""}
    context["customer"]["first_name"] = ""
    words = renderer.render(command(flow="review", message="ask", context=context), NO_LINKS)
    assert words.text.startswith("Godmorgen,\n")


def test_greeting_that_the_copy_lacks(tmp_path: Path) -> None:
    """A template that greets fails with the key that is missing; one that does not is not affected."""
    renderer = _house(tmp_path, **{"flows/g/f/m.txt.j2": "{{ greeting }}"})
    with pytest.raises(RenderError, match=r"the copy has no text 'greeting\.weekend'; add it to copy/en\.yaml"):
        _m(renderer, context={"mood": "weekend"})
    assert _m(_house(tmp_path / "other"), context={"mood": "weekend"}).text == "x\n"


def test_missing_text_reads_english(tmp_path: Path) -> None:
    """A text that the language's copy lacks is read from the English one."""
    renderer = _house(tmp_path, **{"flows/g/f/copy/da.yaml": "other: andet", "flows/g/f/m.txt.j2": '{{ t("other") }}'})
    words = _m(renderer, locale="da")
    assert (words.subject, words.text) == ("Hello", "andet\n")


def test_no_pixel_without_consent(renderer: Renderer) -> None:
    """The pixel is in the mail only where it is given a link, and so with the unsubscribe line."""
    assert "<img" not in renderer.render(command(), NO_LINKS).html
    assert "https://u" not in renderer.render(command(), NO_LINKS).text
    links = Links(unsubscribe="https://u", pixel="https://p", review="https://r")
    words = renderer.render(command(), links)
    assert '<img src="https://p" width="1" height="1" alt="">' in words.html
    assert 'href="https://u"' in words.html
    assert "Afmeld: https://u" in words.text


def test_link_that_is_none_is_left_out(renderer: Renderer) -> None:
    """A tracking address that would run a script becomes no link."""
    context = example("shipment-confirmation")
    context["shipment"]["tracking_url"] = "javascript:alert(1)"
    words = renderer.render(command(flow="shipment-confirmation", message="shipped", context=context), NO_LINKS)
    assert "javascript" not in words.html + words.text


def test_styles_are_on_the_elements(renderer: Renderer) -> None:
    """style.css sits on the elements, the layout keeps its dark mode, and loops stay inside their table."""
    html = renderer.render(command(), NO_LINKS).html
    assert '<td class="amount" align="right" style="' in html
    assert "prefers-color-scheme: dark" in html
    assert html.count("<tbody>") == html.count("</tbody>") == 3
    assert "takk0" not in html


def test_statement_inside_a_tag_is_named(tmp_path: Path) -> None:
    """A statement that styling would tear out of a tag is a mistake with a name, not a broken mail."""
    renderer = _house(
        tmp_path, **{"shared/style.css": "p{margin:0}", "flows/g/f/m.html.j2": "<p {% if 1 %}id='a'{% endif %}>x</p>"}
    )
    with pytest.raises(RenderError, match=r"f/m: .*move it between elements"):
        _m(renderer)


def test_text_is_made_from_html(tmp_path: Path) -> None:
    """A message without a text template has its words from the HTML."""
    renderer = _house(tmp_path, **{"flows/g/f/m.html.j2": "<h1>Hi</h1><p>you &amp; me</p>"})
    (tmp_path / "flows/g/f/m.txt.j2").unlink()
    assert _m(renderer).text.split() == ["Hi", "you", "&", "me"]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ nobody }}", "'nobody' is undefined"),
        ("{{ order.total | money }}", "'order' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ shop_name.format }}{{ '{0.__class__}'.format(1) }}", "unsafe"),
        ("{{ 'yesterday' | day }}", "ValueError"),
        ("{{ {'minor': 'x', 'currency': 'DKK'} | money }}", "ValueError"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ t('nothing') }}", "no text 'nothing'"),
        ("{% include 'gone.j2' %}", "missing template gone.j2"),
        ("{% if %}", "Expected an expression"),
    ],
)
def test_what_fails_is_a_render_error(tmp_path: Path, template: str, words: str) -> None:
    """Whatever goes wrong in a template is told with its name; nothing else gets out, and the sandbox holds."""
    with pytest.raises(RenderError, match=re.escape(words)):
        _m(_house(tmp_path, **{"flows/g/f/m.txt.j2": template}))


@pytest.mark.parametrize("changes", [{"flow": "../f"}, {"message": "../f/m"}, {"flow": ""}, {"message": "gone"}])
def test_only_templates_are_read(tmp_path: Path, changes: dict[str, str]) -> None:
    """A command cannot make the renderer read elsewhere."""
    with pytest.raises(RenderError):
        _m(_house(tmp_path), **changes)


def test_data_is_not_told(tmp_path: Path) -> None:
    """An error names the template and the kind of failure, never what the customer's data held."""
    renderer = _house(tmp_path, **{"flows/g/f/m.txt.j2": "{{ name | day }}"})
    with pytest.raises(RenderError) as caught:
        _m(renderer, context={"name": "Anna Jensen"})
    assert "Anna" not in str(caught.value)
