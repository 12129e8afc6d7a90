"""One example of each mistake in an email that `takk flows check` finds, with its id and its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.definitions.all_problems import check_all
from streams.definitions.checks.dead_links import why_dead
from streams.definitions.checks.subjects import subject_problems
from streams.definitions.checks.sums import missing_amounts
from streams.definitions.checks.text_contrast import unreadable_texts
from streams.mail.rendering.contrast import contrast
from tests.harness.commands import NOW, TEMPLATES

FLOW = "flows/care/f"
BRAND = "name: Shop\ncompany: Skovgaard ApS\naddress: Skovvej 12, 8000 Aarhus C\n"
UNSUBSCRIBE = '<a href="{{ unsubscribe_url }}">no</a>'
FOOT = f"{UNSUBSCRIBE}{{{{ brand.legal[0] }}}}"
COPY = {"en": "a.subject: Hello\nhello: Hi\n", "da": "a.subject: Hej\nhello: Hej\n"}


def check(root: Path, files: dict[str, str]) -> list[str]:
    """The id and the place of each problem of a folder with one flow, in which some files are others."""
    contents = {
        "shared/brand.yaml": BRAND,
        "consent.yaml": (TEMPLATES / "consent.yaml").read_text(encoding="utf-8"),
        "languages.yaml": "languages: [en, da]\n",
        f"{FLOW}/flow.yaml": "flow: f\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {on: order.placed}\nsteps: [{send: {message: a}}]\n",
        f"{FLOW}/a.html.j2": f"<p>{{{{ t('hello') }}}}</p>\n{FOOT}\n",
        **{f"{FLOW}/copy/{language}.yaml": text for language, text in COPY.items()},
    } | files
    for name, content in contents.items():
        if content:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
    found = check_all(root, NOW)
    return [
        f"{at.file.removeprefix(f'{root}/')}:{at.line}:{at.column} {problem.id}"
        for problem in (*found.errors, *found.warnings)
        for at in [problem.location]
    ]


def page(body: str) -> dict[str, str]:
    """The template of the message, with a part between the text and the foot."""
    return {f"{FLOW}/a.html.j2": f"<p>{{{{ t('hello') }}}}</p>\n{body}\n{FOOT}\n"}


def copy(text: str) -> dict[str, str]:
    """The English copy."""
    return {f"{FLOW}/copy/en.yaml": text}


HTML, EN = f"{FLOW}/a.html.j2", f"{FLOW}/copy/en.yaml"
ENGLISH_LINK = page('{% if language == "en" %}<a href="{{ t("page") }}">tea</a>{% endif %}')


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, []),
        ({f"{FLOW}/copy/da.yaml": ""}, [f"{FLOW}/copy/da.yaml:1:1 message.E011"]),
        (copy("a.subject: Hello\n"), [f"{HTML}:1:10 message.E006"]),
        (copy("a.subject: Hello\nhello: Hi\nhelo: Hi\n"), [f"{EN}:3:1 message.W005"]),
        (page('<a href="/tea">tea</a>'), [f"{HTML}:2:10 message.W003"]),
        (page('<a href="https://localhost:8000/tea">tea</a>'), [f"{HTML}:2:10 message.W011"]),
        (copy("a.subject: Hello\nhello: Hi\npage: https://your-shop.com/\n") | ENGLISH_LINK, [f"{EN}:3:7 message.W011"]),
        (page('<img src="https://shop.dk/tea.png" width="520">'), [f"{HTML}:2:11 message.W004"]),
        (page('<img src="https://shop.dk/tea.png" width="1200" alt="Tea">'), [f"{HTML}:2:11 message.W012"]),
        ({HTML: "<p>{{ t('hello') }}</p>\n{{ brand.legal[0] }}\n"}, [f"{HTML}:1:1 message.W002"]),
        ({HTML: '<p>{{ t("hello") }}</p>\n<a href="{{ unsubscribe_url }}">no</a>\n'}, [f"{HTML}:1:1 message.W013"]),
        ({"shared/brand.yaml": "name: Shop\n", HTML: f"{{{{ t('hello') }}}}{UNSUBSCRIBE}\n"}, ["shared/brand.yaml:1:1 message.W013"]),
        ({f"{FLOW}/a.txt.j2": "{{ unsubscribe_url }}"}, [f"{FLOW}/a.txt.j2:1:1 message.W013"]),
        (page("{% for line in order.lines %}{{ line.amount | money }} {% endfor %}{{ order.total | money }}"), [f"{HTML}:1:1 message.W014"]),
        (page('<p style="color: #aaaaaa">Small print</p>'), [f"{HTML}:2:27 message.W015"]),
        ({**page("<p {% if order %}{% endif %}>Hi</p>"), "shared/style.css": "p { color: #000; }"}, [f"{HTML}:1:1 message.E001"]),
        (page(f"<!-- {'x' * 103_000} -->"), [f"{HTML}:1:1 message.W016"]),
        (copy(f"hello: Hi\na.subject: {'Hello ' * 9}\n"), [f"{EN}:2:12 message.W017"]),
        (copy("hello: Hi\na.subject: Act now and save\n"), [f"{EN}:2:12 message.W018"]),
    ],
)  # fmt: skip
def test_mistakes(files: dict[str, str], found: list[str], tmp_path: Path) -> None:
    """Each mistake is found at its place, and nothing else."""
    assert check(tmp_path, files) == found


@pytest.mark.parametrize(
    ("address", "is_dead"),
    [
        ("https://shop.dk/tea", False),
        ("https://shop.dk/todos", False),
        ("mailto:help@shop.example", False),
        ("https://8.8.8.8/", False),
        ("https://shop.example/tea", True),
        ("http://www.example.com/", True),
        ("https://shop.test./", True),
        ("http://10.0.0.7/tea", True),
        ("http://[::1]/tea", True),
        ("https://shop/tea", True),
        ("https://shop.dk/[LINK]", True),
        ("https://shop.dk/{sku}", True),
        ("https://shop.dk/TODO", True),
        ("https://www.yourshop.dk/", True),
        ("https://[x", False),
    ],
)
def test_dead_links(address: str, is_dead: bool) -> None:
    """Placeholders and hosts that only a developer reaches are dead; what is not an address is another problem."""
    assert bool(why_dead(address)) == is_dead


@pytest.mark.parametrize(
    ("subject", "ids"),
    [
        ("Din ordre er sendt", []),
        ("UPS har din pakke", []),
        ("Tillykke med fødselsdagen!", []),
        ("Re: din ordre", ["message.W018"]),
        ("DIN ORDRE ER SENDT", ["message.W018"]),
        ("Kom nu!!", ["message.W018"]),
        ("Sista chansen", ["message.W018"]),
        ("Gratisk", []),
        ("x" * 50, []),
        ("x" * 51, ["message.W017"]),
    ],
)
def test_subjects(subject: str, ids: list[str]) -> None:
    """Long subjects and those that look like spam are found, in several languages; honest ones are not."""
    assert [problem.id for _, problem in subject_problems(subject)] == ids


def test_amounts_that_are_missing() -> None:
    """A receipt shows all amounts between its lines and its total, however they are written; a list without a total is not a receipt."""
    amount = {"currency": "DKK"}
    order = {
        "lines": [{"amount": {**amount, "minor": 123_450}}, {"amount": {**amount, "minor": 0}}],
        "adjustments": [{"kind": "shipping", "amount": {**amount, "minor": 4_900}}, {"kind": "discount", "amount": {**amount, "minor": -1_000}}],
        "total": {**amount, "minor": 127_350},
    }  # fmt: skip
    assert list(missing_amounts("1.234,50 kr. 49,00 kr. -10,00 kr. 1.273,50 kr.", order)) == []
    assert list(missing_amounts("1 234,50 kr. -10,00 1 273,50", order)) == ["shipping"]
    assert list(missing_amounts("1234.50 1273.50 349.00", order)) == ["shipping", "discount"]
    assert list(missing_amounts("1234.50", order)) == list(missing_amounts("1273.50", order)) == []


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>Hi</p>", []),
        ('<p style="color: #999">Hi</p>', ["Hi"]),
        ('<p style="color: #999; display: none">Hi</p>', []),
        ('<h1 style="color: #949494; font-size: 32px">Hi</h1>', []),
        ('<td bgcolor="#000000"><p style="color: #222222">Hi<br>there</p></td>', ["Hi"]),
        ('<td style="background: #000"><p>One</p></td><p>Two</p>', ["One"]),
        ('<td style="background: url(x.png)"><p style="color: white">Hi</p></td>', []),
        ('<p style="color: white">&nbsp;</p><title style="color: white">Hi</title>', []),
        ('<p style="color: rgb(250, 250, 250)">Hi</p>', ["Hi"]),
    ],
)
def test_contrast_of_texts(html: str, found: list[str]) -> None:
    """Texts with too little contrast are found. Hidden ones, and those on pictures, are not."""
    assert [text.words for text in unreadable_texts(html)] == found


_COLORS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@given(_COLORS, _COLORS)
def test_any_colors(color: str, background: str) -> None:
    """A small text is found if, and only if, its contrast is less than 4.5."""
    html = f'<td bgcolor="{background}"><p style="color:{color};font-size:15px">Hi</p></td>'
    assert bool(unreadable_texts(html)) == (contrast(color, background) < 4.5)
    assert unreadable_texts(html, {(color, background)}) == []
