"""The brand of a shop: what a file gives, and its checks of contrast and logo."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.definitions.language.brand import contrast, parse_brand
from streams.definitions.loader import load_brand
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
