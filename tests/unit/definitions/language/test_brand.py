"""The brand of a shop: what a file gives, and its checks of contrast and logo."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from streams.definitions.language.brand import CARD_DARK, parse_brand
from streams.definitions.language.contrast import contrast, least_contrast
from streams.definitions.loader import brand_problems, load_brand
from streams.definitions.problems import FlowFileError
from streams.mail.rendering.brand import Brand
from streams.settings import PROJECT_ROOT


def test_file_of_takk() -> None:
    """The file in the templates of Takk is valid, and the countries without a line get the default's places for reviews."""
    brand = load_brand(PROJECT_ROOT / "templates")
    assert brand is not None
    assert brand.name == "Takk"
    assert [place.name for place in brand.destinations("DK")] == ["Trustpilot"]
    assert brand.destinations("FR") == brand.destinations("*") != brand.destinations("DK")


def test_only_the_name_is_needed() -> None:
    """A file with a name only gives Takk's colours, and no links."""
    assert parse_brand("name: Tea\n") == Brand(name="Tea")


@pytest.mark.parametrize(
    ("one", "other", "ratio"), [("#000000", "#ffffff", 21), ("#ffffff", "#ffffff", 1), ("#767676", "#ffffff", 4.54)]
)
def test_contrast(one: str, other: str, ratio: float) -> None:
    """The contrast is that of WCAG, whichever colour comes first."""
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
        assert least_contrast(brand.colors.accent_dark, ("#161817", CARD_DARK)) >= 6
    assert parse_brand('name: Tea\ncolors: {accent: "#2F5D50"}\n') == Brand(name="Tea")
    both = parse_brand('name: Tea\ncolors: {accent: "#0b3d24", accent_dark: "#ffeedd"}\n')
    assert isinstance(both, Brand)
    assert both.colors.accent_dark == "#ffeedd"


@pytest.mark.parametrize(
    ("colors", "hint"),
    [('{accent: "#ffcc00"}', 'accent: "#856a00"'), ('{accent_dark: "#2f5d50"}', 'accent_dark: "#4e9a85"')],
)
def test_color_that_can_be_read(colors: str, hint: str) -> None:
    """The hint names the nearest color of the same hue that can be read."""
    problems = parse_brand(f"name: Tea\ncolors: {colors}\n")
    assert isinstance(problems, list)
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
    ],
)
def test_the_brand_of_the_example(tmp_path: Path, lines: str, ids: list[str]) -> None:
    """A brand with an address of the example is a warning."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "brand.yaml").write_text(lines)
    assert [problem.id for problem in brand_problems(tmp_path)] == ids
