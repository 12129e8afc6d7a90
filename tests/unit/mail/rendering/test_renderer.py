"""Rendering: language, money and time in the customer's format, no injection, and errors that affect one email only."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from streams.mail.links import Links
from streams.mail.rendering import message_templates
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.render_errors import RenderError
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from tests.harness.commands import SENDER, TEMPLATES, command, example

NO_LINKS = Links(None, None, lambda use, target: f"https://links.example/{use}/{target}")
EVIL = '<script>alert(1)</script>"{{ 7 * 7 }}'


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """The project's templates."""
    return Renderer(TEMPLATES, EmailBrand(name="Butik Ø"))


def _templates(tmp_path: Path, **files: str) -> Renderer:
    """Return a renderer of one flow `f` with a message `m`."""
    texts = {
        "flows/g/f/m.html.j2": "<p>x</p>",
        "flows/g/f/m.txt.j2": "x",
        "flows/g/f/copy/en.yaml": "m.subject: Hello",
    } | files
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Renderer(tmp_path, EmailBrand(name="Shop"))


def _render(renderer: Renderer, **changes: Any) -> RenderedEmail:
    return renderer.render(command(**{"flow": "f", "message": "m", "context": {}, "locale": "en"} | changes), NO_LINKS)


def test_html_in_data_is_text(renderer: Renderer) -> None:
    """Markup and Jinja in a name or a title are displayed as text."""
    context = example("order-confirmation")
    context["customer"]["first_name"] = EVIL
    context["order"]["lines"][0]["title"] = EVIL
    email = renderer.render(command(context=context), NO_LINKS)
    assert "<script>alert" not in email.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;{{ 7 * 7 }}" in email.html
    assert f"Godmorgen {EVIL}," in email.text
    (json_ld,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', email.html, re.DOTALL)
    assert json.loads(json_ld)["acceptedOffer"][0]["itemOffered"]["name"] == EVIL


def test_data_in_copy_is_escaped(renderer: Renderer) -> None:
    """Data in a text of the copy is escaped exactly once."""
    context = example("order-confirmation")
    context["order"]["order_number"] = "<b>&"
    email = renderer.render(command(context=context), NO_LINKS)
    assert "Ordre &lt;b&gt;&amp;<" in email.html
    assert email.subject == "Tak for din ordre <b>&"


def test_subject_is_one_line(renderer: Renderer) -> None:
    """Line breaks in the data do not reach the subject."""
    context = example("order-confirmation")
    context["order"]["order_number"] = "1\r\nBcc: all@post.example"
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
def test_money_and_time_in_the_customers_format(
    renderer: Renderer, locale: str, country: str, total: str, window: str
) -> None:
    """Money and dates follow the copy's language, the customer's country and time zone (the window is 9 to 12 in UTC)."""
    order = renderer.render(command(locale=locale, country=country), NO_LINKS)
    assert total.replace("\xa0", " ") in order.text.replace("\xa0", " ")
    parcel = command(flow="shipment-confirmation", message="shipped", locale=locale, country=country)
    assert window in renderer.render(parcel, NO_LINKS).text


def test_clock_uses_the_customers_zone(renderer: Renderer) -> None:
    """The same instant has another local time in another zone, also with a filled cache."""
    texts = [
        renderer.render(
            command(flow="shipment-confirmation", message="shipped", locale="en-GB", country="GB", time_zone=zone),
            NO_LINKS,
        ).text
        for zone in ("Europe/London", "Asia/Tokyo", "Europe/London", "Mars/Olympus")
    ]
    assert ["09:00–12:00" in text for text in texts] == [True, False, True, True]
    assert "18:00–21:00" in texts[1]


def test_words_for_days_and_the_shop(tmp_path: Path) -> None:
    """A message can show the weekday and the month of a time in its language, by the customer's clock, and the name of the shop."""
    text = "{{ at | weekday }} {{ at | month }} {{ day | weekday }} {{ shop.name }} {{ shop.country }}"
    files = {"flows/g/f/m.txt.j2": text, "flows/g/f/copy/da.yaml": "m.subject: Hej"}
    context = {"at": "2026-02-28T23:30:00+00:00", "day": "2026-11-27", "shop": {"country": "DK"}}
    email = _render(_templates(tmp_path, **files), context=context, locale="da", country="DK")
    assert email.text.split() == ["søndag", "marts", "fredag", "Shop", "DK"]


def test_a_day_without_a_year(tmp_path: Path) -> None:
    """A date of the customer without a year is shown without one, and has no weekday."""
    text = "{{ day | day }}; {{ day | month }}; {{ day | weekday }}."
    files = {"flows/g/f/m.txt.j2": text, "flows/g/f/copy/da.yaml": "m.subject: Hej"}
    email = _render(_templates(tmp_path, **files), context={"day": "--02-29"}, locale="da", country="DK")
    assert email.text.strip() == "29. februar; februar; ."


def test_a_day_is_not_broken_in_html(tmp_path: Path) -> None:
    """No line of HTML ends between the day, the month and the year. The text part has plain spaces."""
    text = "{{ '2026-11-25' | day }}"
    files = {
        "flows/g/f/m.html.j2": f"<p>{text}</p>",
        "flows/g/f/m.txt.j2": text,
        "flows/g/f/copy/da.yaml": "m.subject: Hej",
    }
    email = _render(_templates(tmp_path, **files), locale="da", country="DK")
    assert "onsdag den 25.\N{NO-BREAK SPACE}november\N{NO-BREAK SPACE}2026" in email.html
    assert email.text.strip() == "onsdag den 25. november 2026"


def test_an_unknown_language_falls_back_to_english(renderer: Renderer) -> None:
    """A language without copy gets English texts, and the HTML declares English for screen readers."""
    email = renderer.render(command(locale="fi"), NO_LINKS)
    assert email.subject == "Thank you for order 1001"
    assert '<html lang="en" dir="ltr" ' in email.html


@pytest.mark.parametrize(
    ("mood", "danish", "english"),
    [
        ("plain", "Hej Anna", "Hi Anna"),
        ("morning", "Godmorgen Anna", "Good morning Anna"),
        ("weekend", "Hej Anna", "Hi Anna"),
        ("christmas", "Hej Anna", "Hi Anna"),
        ("of a newer version", "Hej Anna", "Hi Anna"),
    ],
)
def test_greetings(renderer: Renderer, mood: str, danish: str, english: str) -> None:
    """The greeting of the mood is in the language of the copy. An unknown mood gets the plain greeting."""
    context = example("review") | {"mood": mood}
    for locale, greeting in (("da-DK", danish), ("en-GB", english), ("fi", english)):
        email = renderer.render(command(flow="review", message="ask", locale=locale, context=context), NO_LINKS)
        assert f"\n\n{greeting},\n\n" in email.text
        assert f">{greeting},</p>" in email.html


@pytest.mark.parametrize(
    ("local_time", "mood", "greeting", "closing"),
    [
        ("2026-11-27T06:30", "weekend", "Godmorgen Anna", "God weekend"),
        ("2026-12-24T08:59", "christmas", "Godmorgen Anna", "God jul"),
        ("2026-12-24T09:00", "christmas", "Hej Anna", "God jul"),
        ("2026-12-25T12:00", "weekend", "Hej Anna", "God weekend"),
        ("2026-12-29T07:00", "plain", "Godmorgen Anna", "Godt nytår"),
    ],
)
def test_clock_and_day(renderer: Renderer, local_time: str, mood: str, greeting: str, closing: str) -> None:
    """An email greets by the clock and closes by the day, on a Friday morning in December too."""
    context = example("review") | {"mood": mood, "local_time": local_time}
    email = renderer.render(command(flow="review", message="ask", context=context), NO_LINKS)
    assert f"\n\n{greeting},\n\n" in email.text
    assert f"\n{closing}\nButik Ø\n" in email.text


def test_own_occasion(tmp_path: Path) -> None:
    """An occasion of the shop has words of its own in the languages that have them, and templates know it."""
    files = {
        "occasions.yaml": "occasions:\n  easter: {from: easter-3, to: easter, countries: [DK]}",
        "flows/g/f/m.txt.j2": "{{ mood }}: {{ greeting }}, {{ closing }}",
        "copy/en.yaml": "greeting.plain: Hi\nclosing.plain: Bye\nclosing.easter: Happy Easter",
    }
    renderer = _templates(tmp_path, **files)
    at_easter = {"mood": "plain", "local_time": "2026-04-05T12:00"}
    assert _render(renderer, context=at_easter).text == "easter: Hi, Happy Easter\n"
    assert _render(renderer, context=at_easter, country="SE").text == "plain: Hi, Bye\n"


@pytest.mark.parametrize(
    ("mood", "danish", "english"),
    [
        ("plain", "Venlig hilsen", "Kind regards"),
        ("weekend", "God weekend", "Have a great weekend"),
        ("christmas", "God jul", "Merry Christmas"),
        ("of a newer version", "Venlig hilsen", "Kind regards"),
        (None, "Venlig hilsen", "Kind regards"),
    ],
)
def test_closings(renderer: Renderer, mood: str | None, danish: str, english: str) -> None:
    """The closing of the mood is in the language of the copy. A command of an earlier version has no mood, and gets the plain one."""
    context = example("review") | {"mood": mood}
    if mood is None:
        del context["mood"]
        context["greeting"] = "Hej"
    for locale, closing in (("da-DK", danish), ("fi", english)):
        email = renderer.render(command(flow="review", message="ask", locale=locale, context=context), NO_LINKS)
        assert f"\n{closing}\nButik Ø\n" in email.text
        assert f">{closing}<br>Butik Ø" in email.html


def test_closing_of_a_copy_of_an_earlier_version(tmp_path: Path) -> None:
    """Its `regards` is the closing, and a text of the mood counts more. Without both only a template with a closing fails."""
    with_closing = {"flows/g/f/m.txt.j2": "{{ closing }}"}
    old = _templates(tmp_path / "old", **with_closing, **{"copy/en.yaml": "regards: Bye"})
    assert _render(old, context={"mood": "weekend"}).text == "Bye\n"
    new = _templates(tmp_path / "new", **with_closing, **{"copy/en.yaml": "regards: Bye\nclosing.weekend: Enjoy"})
    assert _render(new, context={"mood": "weekend"}).text == "Enjoy\n"
    with pytest.raises(RenderError, match=r"the copy has no text 'closing\.plain'"):
        _render(_templates(tmp_path / "none", **with_closing))


@pytest.mark.parametrize(
    ("copies", "locale", "language"),
    [
        ("no en", "nb", "no"),
        ("no en", "nn-NO", "no"),
        ("nb en", "nn", "nb"),
        ("nb en", "no", "nb"),
        ("nb nn en", "nn", "nn"),
        ("pt pt-BR en", "pt-BR", "pt-BR"),
        ("pt pt-BR en", "pt_br", "pt-BR"),
        ("pt pt-BR en", "pt-PT", "pt"),
        ("pt-PT en", "pt-AO", "pt-PT"),
        ("pt-BR en", "pt", "pt-BR"),
        ("zh-Hant zh en", "zh-Hant", "zh-Hant"),
        ("zh-Hant zh en", "zh-TW", "zh-Hant"),
        ("zh-Hant zh en", "zh_Hant_HK", "zh-Hant"),
        ("zh-Hant zh en", "zh-CN", "zh"),
        ("zh-Hant en", "zh-CN", "en"),
        ("sr en", "sr-Latn-RS", "en"),
        ("es-419 es en", "es-MX", "es-419"),
        ("he en", "iw-IL", "he"),
        ("da", "fi", "da"),
        ("de da", "fi", "da"),
        ("da en", "da-DK", "da"),
        ("da en", "../da", "en"),
        ("da en", "", "en"),
        ("en-GB en da", "en-US", "en"),
    ],
)
def test_the_language_of_a_locale(copies: str, locale: str, language: str, tmp_path: Path) -> None:
    """The best copy by CLDR's parents and likely subtags is read, else the default, which is English if there is an English copy."""
    names = copies.split()
    renderer = _templates(tmp_path, **{f"flows/g/f/copy/{name}.yaml": f"m.subject: in {name}" for name in names})
    if "en" not in names:
        (tmp_path / "flows/g/f/copy/en.yaml").unlink()
        renderer = Renderer(tmp_path, EmailBrand(name="Shop"))
    email = _render(renderer, locale=locale)
    assert email.subject == f"in {language}"


def test_a_regional_copy_has_only_what_differs(tmp_path: Path) -> None:
    """Its other texts are those of the next language of the chain, and only then of the default."""
    files = {
        "flows/g/f/copy/pt.yaml": "m.subject: pt\nother: pt",
        "flows/g/f/copy/pt-BR.yaml": "m.subject: br",
        "flows/g/f/copy/en.yaml": "m.subject: en\nother: en",
        "flows/g/f/m.txt.j2": '{{ t("other") }}',
    }
    email = _render(_templates(tmp_path, **files), locale="pt-BR")
    assert (email.subject, email.text) == ("br", "pt\n")


def test_languages_that_the_shop_names(tmp_path: Path) -> None:
    """The first is for all others, and a copy in a language that is not named is not read."""
    files = {f"flows/g/f/copy/{name}.yaml": f"m.subject: in {name}" for name in ("da", "de")}
    renderer = _templates(tmp_path, **files, **{"languages.yaml": "languages: [da, en]"})
    assert [_render(renderer, locale=locale).subject for locale in ("da", "de", "fi", "en")] == [
        "in da",
        "in da",
        "in da",
        "Hello",
    ]


def test_headline(renderer: Renderer, tmp_path: Path) -> None:
    """The message's own headline is the only h1 and the first line of the text part. Without one it is the subject."""
    email = renderer.render(command(flow="review", message="ask"), NO_LINKS)
    assert re.findall(r"<h1[^>]*>(.*?)</h1>", email.html) == ["Hvad synes du?"]
    assert email.text.startswith("Hvad synes du?\n\n")
    own = _templates(tmp_path, **{"flows/g/f/m.txt.j2": "{{ headline }}"})
    assert _render(own).text == "Hello\n"


def test_preview_is_padded(renderer: Renderer) -> None:
    """Inboxes show nothing of the text after the preview: invisible characters follow it."""
    html = renderer.render(command(), NO_LINKS).html
    (preview,) = re.findall(r'<div class="preview"[^>]*>(.*?)</div>', html, re.DOTALL)
    assert preview.startswith("Vi har modtaget den og går i gang med at pakke.\n")
    assert preview.count("\u034f\u200c&nbsp;") == 48


def test_greeting_without_a_name(renderer: Renderer) -> None:
    """The greeting has no name if the name is unknown."""
    context = example("review") | {"greeting": ""}
    context["customer"]["first_name"] = ""
    email = renderer.render(command(flow="review", message="ask", context=context), NO_LINKS)
    assert "\n\nGodmorgen,\n\n" in email.text


def test_greeting_that_the_copy_lacks(tmp_path: Path) -> None:
    """A template with a greeting fails with the missing key; a template without one is not affected."""
    renderer = _templates(tmp_path, **{"flows/g/f/m.txt.j2": "{{ greeting }}"})
    with pytest.raises(RenderError, match=r"the copy has no text 'greeting\.plain'; add it to copy/en\.yaml"):
        _render(renderer, context={"mood": "weekend"})
    assert _render(_templates(tmp_path / "other"), context={"mood": "weekend"}).text == "x\n"


def test_a_missing_text_falls_back_to_english(tmp_path: Path) -> None:
    """A text that the language's copy lacks is taken from the English copy."""
    renderer = _templates(
        tmp_path, **{"flows/g/f/copy/da.yaml": "other: andet", "flows/g/f/m.txt.j2": '{{ t("other") }}'}
    )
    email = _render(renderer, locale="da")
    assert (email.subject, email.text) == ("Hello", "andet\n")


def test_no_pixel_without_consent(renderer: Renderer) -> None:
    """The pixel and the unsubscribe line are in the email only if it has their links."""
    assert 'width="1"' not in renderer.render(command(), NO_LINKS).html
    assert "https://u" not in renderer.render(command(), NO_LINKS).text
    links = Links("https://u", "https://p", NO_LINKS.seal)
    email = renderer.render(command(), links)
    assert re.search(r'<img src="https://p" [^>]*width="1"[^>]*>', email.html)
    assert 'href="https://u"' in email.html
    assert "Afmeld: https://u" in email.text


def test_links_of_the_gateway(tmp_path: Path) -> None:
    """Templates and texts have the links of a survey, with or without an answer, and of a contest. Each id is sealed once."""
    made: list[str] = []

    def seal(use: str, target: str) -> str:
        made.append(f"{use} {target}")
        return f"https://links.example/{use}/{len(made)}"

    renderer = _templates(
        tmp_path,
        **{
            "flows/g/f/m.html.j2": '{% for n in range(11) %}<a href="{{ survey_url("nps", n) }}">{{ n }}</a>{% endfor %}{{ t("rest") }}',
            "flows/g/f/m.txt.j2": "{{ preferences_url }} {{ reorder_url }} {{ referral_url }}",
            "flows/g/f/copy/en.yaml": """
                m.subject: Hello
                rest: '{{ survey_url("why") }} {{ survey_url("nps", "så & så") }} {{ contest_url("summer") }}'
            """,
        },
    )
    links = Links(None, None, seal, "https://p", "https://b", "https://f")
    email = renderer.render(command(flow="f", message="m", locale="en", context={}), links)
    assert '<a href="https://links.example/s/1?value=0">0</a>' in email.html
    assert '<a href="https://links.example/s/1?value=10">10</a>' in email.html
    assert email.html.endswith(
        "https://links.example/s/2 https://links.example/s/1?value=s%C3%A5%20%26%20s%C3%A5 https://links.example/k/3"
    )
    assert made == ["s nps", "s why", "k summer"]
    assert email.text == "https://p https://b https://f\n"


@pytest.mark.parametrize("locale", ["da", "en"])
def test_answers_from_0_to_10(tmp_path: Path, locale: str) -> None:
    """The shared block has a link for each answer, with the question's id and styles, and the text part the link to the question."""
    shutil.copytree(TEMPLATES, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "flows/asking/nps"
    block = (
        '{%% extends "shared/layout.%s.j2" %%}{%% block content %%}'
        '{%% set question = "nps-2" %%}{%% include "shared/blocks/nps.%s.j2" %%}{%% endblock %%}'
    )
    for name, text in {
        "ask.html.j2": block % ("html", "html"),
        "ask.txt.j2": block % ("txt", "txt"),
        f"copy/{locale}.yaml": "ask.subject: Hi",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    order = command(flow="nps", message="ask", locale=locale, purpose="survey", context=example("review"))
    email = Renderer(tmp_path, EmailBrand(name="Shop")).render(order, NO_LINKS)
    links = re.findall(
        r'<a href="(https://links.example/s/nps-2[^"]*)" style="[^"]*border: 1px[^"]*">([^<]*)</a>', email.html
    )
    assert links == [(f"https://links.example/s/nps-2?value={n}", str(n)) for n in range(11)]
    assert "https://links.example/s/nps-2\n" in email.text


@pytest.mark.parametrize(
    "call",
    [
        'survey_url("")',
        "survey_url(7)",
        'survey_url("n" * 201)',
        'survey_url("nps", 1.5)',
        'survey_url("nps", "n" * 201)',
        'contest_url("summer", 1)',
        "contest_url()",
        "{% for n in range(51) %}{{ contest_url(n ~ '') }}{% endfor %}",
    ],
)
def test_invalid_links_of_the_gateway(tmp_path: Path, call: str) -> None:
    """A question or a contest without a usable id is an error of the message."""
    renderer = _templates(tmp_path, **{"flows/g/f/m.html.j2": call if call.startswith("{") else f"{{{{ {call} }}}}"})
    with pytest.raises(RenderError):
        renderer.render(command(flow="f", message="m", context={}), NO_LINKS)


def test_an_invalid_link_is_left_out(renderer: Renderer) -> None:
    """A tracking URL that would run a script is left out."""
    context = example("shipment-confirmation")
    context["shipment"]["tracking_url"] = "javascript:alert(1)"
    email = renderer.render(command(flow="shipment-confirmation", message="shipped", context=context), NO_LINKS)
    assert "javascript" not in email.html + email.text


def test_styles_are_on_the_elements(renderer: Renderer) -> None:
    """style.css is inlined, the layout keeps its dark mode, and loops stay inside their table."""
    html = renderer.render(command(), NO_LINKS).html
    assert re.search(r'<td class="amount" [^>]*style="[^"]*white-space: nowrap', html)
    assert "prefers-color-scheme: dark" in html
    assert html.count("<tbody>") == html.count("</tbody>") > 4
    assert "takk0" not in html


def test_a_statement_inside_a_tag_is_an_error(tmp_path: Path) -> None:
    """A statement inside a tag is reported as an error, because inlining styles would move it."""
    renderer = _templates(
        tmp_path, **{"shared/style.css": "p{margin:0}", "flows/g/f/m.html.j2": "<p {% if 1 %}id='a'{% endif %}>x</p>"}
    )
    with pytest.raises(RenderError, match=r"f/m: .*move it between elements"):
        _render(renderer)


@pytest.mark.parametrize(
    "rows",
    [
        "<tr><td>{{ shop_name }}</td></tr>{{ subject }}",
        "{% for x in [1] %}<tr><td>{{ shop_name }}</td></tr>{{ subject }}{% endfor %}",
    ],
)
def test_a_value_outside_the_cells_is_an_error(tmp_path: Path, rows: str) -> None:
    """A value in a table and outside its cells is reported as an error, because inlining styles would move it in front of the table."""
    message = f"<table><tbody>{rows}</tbody></table>"
    renderer = _templates(tmp_path, **{"shared/style.css": "td{margin:0}", "flows/g/f/m.html.j2": message})
    with pytest.raises(RenderError, match=r"f/m: .*move it between elements"):
        _render(renderer)


def test_text_is_generated_from_html(tmp_path: Path) -> None:
    """A message without a text template gets its text from the HTML."""
    renderer = _templates(tmp_path, **{"flows/g/f/m.html.j2": "<h1>Hi</h1><p>you &amp; me</p>"})
    (tmp_path / "flows/g/f/m.txt.j2").unlink()
    assert _render(renderer).text.split() == ["Hi", "you", "&", "me"]


@pytest.mark.parametrize(
    ("template", "error"),
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
def test_every_failure_is_a_render_error(tmp_path: Path, template: str, error: str) -> None:
    """Every error in a template becomes a RenderError with the template's name, and the sandbox blocks unsafe access."""
    with pytest.raises(RenderError, match=re.escape(error)):
        _render(_templates(tmp_path, **{"flows/g/f/m.txt.j2": template}))


@pytest.mark.parametrize("changes", [{"flow": "../f"}, {"message": "../f/m"}, {"flow": ""}, {"message": "gone"}])
def test_only_templates_are_read(tmp_path: Path, changes: dict[str, str]) -> None:
    """A command cannot make the renderer read other files."""
    with pytest.raises(RenderError):
        _render(_templates(tmp_path), **changes)


def test_errors_have_no_customer_data(tmp_path: Path) -> None:
    """An error names the template and the kind of failure, but has no customer data."""
    renderer = _templates(tmp_path, **{"flows/g/f/m.txt.j2": "{{ name | day }}"})
    with pytest.raises(RenderError) as raised:
        _render(renderer, context={"name": "Anna Jensen"})
    assert "Anna" not in str(raised.value)


def test_attributes_of_a_customer_are_an_open_map(tmp_path: Path) -> None:
    """A known attribute is shown as text, an unknown one is empty, and neither leads to the program."""
    page = (
        "<p>{{ customer.attributes.size }}|{{ customer.attributes.color }}|{{ customer.attributes['color'] }}|"
        "{% if customer.attributes.points > 100 %}many{% endif %}|{{ customer.attributes.__class__ }}|"
        "{{ customer.attributes.items }}</p>"
    )
    context = {"customer": {"attributes": {"size": EVIL, "points": 120}}}
    renderer = _templates(tmp_path, **{"flows/g/f/m.html.j2": page})
    html = _render(renderer, context=context).html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;{{ 7 * 7 }}|||many||" in html
    assert context == {"customer": {"attributes": {"size": EVIL, "points": 120}}}


def test_templates_are_flattened_after_some_emails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first emails of a message are rendered with its templates as they are written, and all later ones with flat templates."""
    flattened: list[str] = []
    flatten = message_templates.flatten

    def noted(environment: Any, name: str, *arguments: Any) -> Any:
        flattened.append(name)
        return flatten(environment, name, *arguments)

    monkeypatch.setattr(message_templates, "flatten", noted)
    renderer = Renderer(TEMPLATES, EmailBrand(name="Butik Ø"), flat_after=2)
    order = command(flow="order-confirmation", message="confirmation", purpose="order", locale="da")
    emails, counts = [], []
    for _ in range(5):
        emails.append(renderer.render(order, SENDER.links(order)))
        counts.append(len(flattened))
    assert counts == [0, 0, 2, 2, 2]
    assert [name.rpartition("/")[2] for name in flattened] == ["confirmation.html.j2", "confirmation.txt.j2"]
    assert emails == [emails[0]] * 5
