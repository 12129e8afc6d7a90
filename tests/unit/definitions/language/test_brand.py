"""The brand of a shop: what a file gives, and its checks of contrast and logo."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from streams.definitions.language.brand import parse_brand
from streams.definitions.loader import brand_problems, load_brand, load_email_brand
from streams.definitions.problems import FlowFileError, Problem
from streams.mail.rendering.brand import Brand, Colors, KindSender, is_placeholder
from streams.mail.rendering.contrast import contrast, least_contrast
from streams.settings import PROJECT_ROOT


def problems_of(root: Path, text: str) -> list[Problem]:
    """Return the problems of a brand."""
    (root / "shared").mkdir()
    (root / "shared" / "brand.yaml").write_text(text)
    return list(brand_problems(root))


def test_file_of_takk() -> None:
    """The file in the templates of Takk is valid, and the countries without a line get the default's places for reviews."""
    brand = load_brand(PROJECT_ROOT / "templates")
    assert brand is not None
    assert brand.name == "Takk"
    assert [place.name for place in brand.destinations("DK")] == ["Trustpilot"]
    assert brand.destinations("FR") == brand.destinations("*") != brand.destinations("DK")


def test_legal_lines_of_takk() -> None:
    """Each legal line of the file that Takk comes with is known as a placeholder."""
    brand = load_brand(PROJECT_ROOT / "templates")
    assert brand is not None
    assert brand.legal_lines
    assert [line for line in brand.legal_lines if not is_placeholder(line)] == []


def test_only_the_name_is_needed() -> None:
    """A file with a name only gives Takk's colors, and no links."""
    assert parse_brand("name: Tea\n") == Brand(name="Tea")


@pytest.mark.parametrize(
    ("one", "other", "ratio"), [("#000000", "#ffffff", 21), ("#ffffff", "#ffffff", 1), ("#767676", "#ffffff", 4.54)]
)
def test_contrast(one: str, other: str, ratio: float) -> None:
    """The contrast is that of WCAG, whichever color comes first."""
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.01)


def test_missing_logo(tmp_path: Path) -> None:
    """A logo that is not in the folder is an error at the file; a folder without the file has no brand."""
    assert load_brand(tmp_path) is None
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "brand.yaml").write_text("name: Tea\nlogo: tea.svg\n")
    with pytest.raises(FlowFileError, match=r"brand\.yaml:1:1: error brand\.E004: missing file 'tea\.svg'"):
        load_brand(tmp_path)
    (folder / "tea.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    brand = load_brand(tmp_path)
    assert brand is not None
    assert brand.logo == "tea.svg"


def test_details_by_country() -> None:
    """A country has its own values, and those of the shop where it has none."""
    brand = parse_brand(
        "name: Tea\nphone: '1'\nhours: 9-16\nsenders: {order: {name: Orders, reply_to: orders@tea.example.com}}\n"
        "countries: {'NO': {phone: '2', company: Te AS, address: Oslo, registration: Org. 1, vat: MVA 2, legal: [Note]}}\n"
    )
    assert isinstance(brand, Brand)
    norway = brand.countries["NO"]
    assert (norway.phone, norway.hours) == ("2", "9-16")
    assert norway.legal_lines == ("Te AS, Oslo", "Org. 1 · MVA 2", "Note")
    assert norway.senders == {"order": KindSender("Orders", "orders@tea.example.com")}


@pytest.mark.parametrize("name", ["tea.svg", "tea.png"])
def test_unreadable_logo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A logo that cannot be read is an error that names the picture and says what to do, for pages and for emails."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "brand.yaml").write_text(f"name: Tea\nlogo: {name}\n")
    (tmp_path / "shared" / name).touch()

    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (problem,) = brand_problems(tmp_path)
    expected = (
        f"{tmp_path}/shared/{name}:1:1: error files.E003: cannot read: Permission denied (hint: check its permissions)"
    )
    assert str(problem) == expected
    with pytest.raises(FlowFileError, match=re.escape(expected)):
        load_brand(tmp_path)


def test_accent_of_dark_mode() -> None:
    """A shop that gives only one accent gets a lighter one of the same hue for dark mode, which can be read. Takk's own pair stays."""
    for accent in ("#0b3d24", "#b0004f", "#1a0dab", "#000000"):
        brand = parse_brand(f'name: Tea\ncolors: {{accent: "{accent}"}}\n')
        assert isinstance(brand, Brand)
        assert brand.colors.accent_dark != Brand(name="").colors.accent_dark
        assert least_contrast(brand.colors.accent_dark, (Colors().background_dark, Colors().card_dark)) >= 6
    assert parse_brand('name: Tea\ncolors: {accent: "#2F5D50"}\n') == Brand(name="Tea")
    both = parse_brand('name: Tea\ncolors: {accent: "#0b3d24", accent_dark: "#ffeedd"}\n')
    assert isinstance(both, Brand)
    assert both.colors.accent_dark == "#ffeedd"


@pytest.mark.parametrize(
    ("colors", "hint"),
    [('{accent: "#ffcc00"}', 'accent: "#856a00"'), ('{accent_dark: "#2f5d50"}', 'accent_dark: "#4e9a85"')],
)
def test_color_that_can_be_read(tmp_path: Path, colors: str, hint: str) -> None:
    """The hint names the nearest color of the same hue that can be read."""
    problems = problems_of(tmp_path, f"name: Tea\ncolors: {colors}\n")
    assert [problem.hint.endswith(f"for example {hint}") for problem in problems] == [True], problems


def test_logo_that_emails_cannot_show(tmp_path: Path) -> None:
    """A logo that only pages can show is a warning, and the brand is valid."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "brand.yaml").write_text("name: Tea\nlogo: tea.svg\n")
    (tmp_path / "shared" / "tea.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (warning,) = brand_problems(tmp_path)
    assert warning.id == "brand.W001"
    assert "'tea.svg': many email programs do not show SVG" in warning.message
    assert load_brand(tmp_path) == Brand(name="Tea", logo="tea.svg")


@pytest.mark.parametrize(
    ("lines", "ids"),
    [
        ("name: Tea\n", []),
        ("name: Tea\nshop_url: https://tea.example.com/\n", []),
        ("name: Tea\nshop_url: https://shop.example/\n", ["brand.W002"]),
        ("name: Tea\nprivacy_url: https://shop.example/privacy\n", ["brand.W002"]),
        ("name: Tea\nlegal: [Tea ApS, 'privacy@tea.example.com', 'Example Streets 1']\n", []),
        ("name: Tea\nlegal: ['Tea ApS, Example Street 1, 2100 Copenhagen']\n", ["brand.W005"]),
        ("name: Tea\nlegal: [Tea ApS, 'Write to privacy@shop.example.']\n", ["brand.W005"]),
    ],
)
def test_the_brand_of_the_example(tmp_path: Path, lines: str, ids: list[str]) -> None:
    """A brand with an address, a street or a host of the example is a warning."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "brand.yaml").write_text(lines)
    assert [problem.id for problem in brand_problems(tmp_path)] == ids


@pytest.mark.parametrize(
    ("colors", "expected"),
    [
        ('{accent: "#ffcc00"}', "brand.W003 2:18"),
        ('{background: "#2f5d50"}', "brand.W003 2:22"),
        ('{background: "#777777", accent: "#000000"}', "brand.W004 2:22"),
        ('{accent_dark: "#ffffff", background_dark: "#5a5a5a"}', "brand.W004 2:51"),
    ],
)
def test_contrast_is_a_warning(tmp_path: Path, colors: str, expected: str) -> None:
    """Colors that customers cannot read are reported at their place, and stop neither emails nor pages."""
    (warning,) = problems_of(tmp_path, f"name: Tea\ncolors: {colors}\n")
    assert f"{warning.id} {warning.location.line}:{warning.location.column}" == expected
    assert warning.level == "warning"
    assert load_brand(tmp_path) is not None
    assert load_email_brand(tmp_path, "Shop").name == "Tea"


@pytest.mark.parametrize(
    "lines",
    [
        "notice: ''",
        "dates: [Partner Birthday]",
        "dates: none",
        "cart: https://tea.example.com/",
        "cart: https://tea.example.com/{items}\ncart: https://tea.example.com/{items}",
        "referral: http://tea.example.com/{code}",
    ],
)
def test_errors_of_pages(tmp_path: Path, lines: str) -> None:
    """An error in what only pages show stops the pages, and no emails."""
    (problem, *_) = problems_of(tmp_path, f"name: Tea\n{lines}\n")
    assert problem.level == "error"
    with pytest.raises(FlowFileError):
        load_brand(tmp_path)
    assert load_email_brand(tmp_path, "Shop").name == "Tea"


@pytest.mark.parametrize(
    "lines",
    [
        "legal: a word",
        "shop_url: tea",
        "email: help",
        "senders: {order: {reply_to: help@}}",
        "senders: {orders: {name: Tea}}",
        "fonts: {text: 'Arial; color: red'}",
        "radius: 99",
        "social: {myspace: https://tea.example.com/}",
        "countries: {XX: {phone: '1'}}",
        "countries: {DK: {logo: tea.png}}",
        "reviews: {XX: {trustpilot: https://tea.example.com/}}",
        "reviews: {DK: {trustplot: https://tea.example.com/}}",
        "colors: {accent: red}",
        "logo: tea.gif",
        "lgo: tea.png",
        "name: Tee",
        ": :",
    ],
)
def test_errors_of_emails(tmp_path: Path, lines: str) -> None:
    """An error in what emails show stops emails and pages, and so does an unknown key, which may be meant for emails."""
    problems_of(tmp_path, f"name: Tea\n{lines}\n")
    for load in (load_brand, lambda root: load_email_brand(root, "Shop")):
        with pytest.raises(FlowFileError):
            load(tmp_path)
