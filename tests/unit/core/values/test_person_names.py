"""Names that strangers type into forms: which of them an email prints, and which part is the first name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.values.person_names import first_name, printable_name


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Anna", "Anna"),
        ("Holm, Anna Sofie", "Anna"),
        ("\x00Bo", "Bo"),
        ("ANNA JENSEN", "Anna"),
        ("anna jensen", "Anna"),
        ("jensen, ANNA", "Anna"),
        ("ANNE-MARIE O'NEIL", "Anne-Marie"),
        ("D'ANGELO RUSSO", "D'Angelo"),
        ("ÅSE ØRSTED", "Åse"),
        ("AL\u0130 KAYA", "Ali"),
        ("ANNA van DAMME", "Anna"),
        ("Jean DUPONT", "Jean"),
        ("McKenzie Brown", "McKenzie"),
        ("Ann E Smith", "Ann"),
        ("Dr. Anna Hansen", "Anna"),
        ("dr anna hansen", "Anna"),
        ("Frau Dr. Anna Müller", "Anna"),
        ("Hansen, Dr. Anna", "Anna"),
        ("Anna Hansen, PhD", "Anna"),
        ("Martin King, Jr.", "Martin"),
        ("Don Johnson", "Don"),
        ("王小明", "王小明"),
        ("नेहा शर्मा", "नेहा"),
    ],
)
def test_clear_first_names(name: str, first: str) -> None:
    """Capitals become a name, and titles, the family name and what stands behind it are left out."""
    assert first_name(name) == first


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        ",",
        "Acme, Inc.",
        "ACME A/S",
        "Müller GmbH & Co. KG",
        "Anna Sørensen ApS",
        "Anna & Bo Hansen",
        "Anna og Bo",
        "Herr und Frau Müller",
        "Mr. Smith",
        "Fru Hansen",
        "Herr Müller",
        "Dr.",
        "J. Hansen",
        "J.R. Tolkien",
        "Hansen, A.",
        "JP MORGAN",
        "JP Morgan",
        "DUPONT Jean",
        "Th. Hansen",
        "Guest",
        "undefined undefined",
        "N/A",
        "Anna2",
        "Win $100 today",
        "A\r\nBcc: x",
        "x" * 41,
        "one two three four five six seven eight nine",
        "Hansen, Anna, Bo",
    ],
)
def test_unclear_first_names(name: str) -> None:
    """Companies, couples, initials, titles with a family name, placeholders and sentences have no first name."""
    assert first_name(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "https://evil.example/win",
        "HTTPS://EVIL.EXAMPLE",
        "hxxp evil",
        "www evil example",
        "Anna www.evil.example",
        "evil.example",
        "Win at evil.example/now",
        "bit.ly/x",
        "t.co",
        "1.2.3.4",
        "anna@evil.example",
        "anna @ evil",
        "mailto:anna",
        "ｅｖｉｌ．ｃｏｍ",
        "ａnna＠evil",
        "evil\u3002example",
        "evil\u200b.example",
        "evil.\u00adexample",
        "пример.рф",
        "evil.xn--p1ai",
        "evil[.]example",
        "evil (dot) example",
        "<a href=//evil>",
        "Anna \\\\evil\\win",
    ],
)
def test_names_with_links(name: str) -> None:
    """A name with an address, a link or a domain is not printed at all, however it is disguised."""
    assert printable_name(name) == ""
    assert first_name(name) == ""


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("Anna  Hansen ", "Anna Hansen"),
        ("A\r\nBcc: x", "A Bcc: x"),
        ("J.R. Tolkien", "J.R. Tolkien"),
        ("Acme, Inc.", "Acme, Inc."),
        ("王小明", "王小明"),
        ("Anna \U0001f389", "Anna \U0001f389"),
        ("1234", ""),
    ],
)
def test_printable_names(name: str, printed: str) -> None:
    """Other names are printed as they are written, on one line, also those of companies."""
    assert printable_name(name) == printed


@given(st.text(max_size=30), st.sampled_from(["evil.example", "http://x", "a@b", "www.x"]), st.text(max_size=30))
def test_no_text_around_a_link_hides_it(before: str, link: str, behind: str) -> None:
    """Whatever a stranger writes around a link, the email has neither the link nor a first name."""
    assert printable_name(f"{before} {link} {behind}") == ""
    assert first_name(f"{before} {link} {behind}") == ""


@given(st.text(max_size=60))
def test_any_name(name: str) -> None:
    """The result is one line. A first name is one word of letters."""
    assert printable_name(name).isprintable()
    first = first_name(name)
    assert not re.search(r"[\s\d@.:/<>]", first)
