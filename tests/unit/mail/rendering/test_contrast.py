"""Colors that follow from those of a brand."""

from __future__ import annotations

import pytest

from streams.mail.rendering.brand import Colors
from streams.mail.rendering.contrast import contrast, mixed, on_color


@pytest.mark.parametrize(("share", "expected"), [(0, "#ffffff"), (1, "#204060"), (0.5, "#90a0b0")])
def test_mixture(share: float, expected: str) -> None:
    """The share is that of the first color."""
    assert mixed("#204060", "#ffffff", share) == expected


@pytest.mark.parametrize("color", ["#000000", "#2f5d50", "#767676", "#8fd0bd", "#ffcc00", "#ffffff"])
def test_text_on_a_color(color: str) -> None:
    """The text on any color can be read, and is white where white can be."""
    assert contrast(on_color(color), color) >= 4.5
    assert (on_color(color) == "#ffffff") == (contrast("#ffffff", color) >= 4.5)


def test_palette() -> None:
    """The palette has all colors, and those that follow from them; edges of fields can be seen (WCAG 2.2, 1.4.11)."""
    colors = Colors()
    palette = colors.palette()
    assert {name: palette[name] for name in Colors.__struct_fields__} == {
        name: getattr(colors, name) for name in Colors.__struct_fields__
    }
    for mode in ("", "_dark"):
        assert contrast(palette[f"on_accent{mode}"], palette[f"accent{mode}"]) >= 4.5
        assert contrast(palette[f"edge{mode}"], palette[f"card{mode}"]) >= 3
