"""Colors of a brand: their contrast, mixtures, and colors that are near another one and can be read. Colors are written as `#rrggbb`."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable

#: WCAG 2.2, 1.4.3: the least contrast of text with its background.
LEAST_CONTRAST = 4.5
#: The text on buttons: the first one that can be read, else the one with the greater contrast.
_ON_COLORS = ("#ffffff", "#101312")
_STEPS = 100
#: Light colors that are more saturated than this glare on dark backgrounds.
_MOST_SATURATION = 0.55


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors, from 1 to 21.

    Source: WCAG 2.2, "contrast ratio" and "relative luminance".
    """
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def least_contrast(color: str, backgrounds: Iterable[str]) -> float:
    """Return the least contrast of a color with one of its backgrounds."""
    return min(contrast(color, background) for background in backgrounds)


def readable(color: str, backgrounds: Iterable[str], *, is_lighter: bool, least: float = LEAST_CONTRAST) -> str:
    """Return the color of the same hue nearest to `color` that has enough contrast with all backgrounds.

    Args:
        color: the color.
        backgrounds: what it is read on.
        is_lighter: whether it may become lighter; otherwise darker. If that is never enough, the result is white or black.
        least: the contrast that is enough.
    """
    backgrounds = tuple(backgrounds)
    hue, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in _parts(color)))
    end = 1.0 if is_lighter else 0.0
    found = color
    for step in range(_STEPS + 1):
        if least_contrast(found, backgrounds) >= least:
            break
        level = lightness + (end - lightness) * step / _STEPS
        parts = colorsys.hls_to_rgb(hue, level, min(saturation, _MOST_SATURATION) if is_lighter else saturation)
        found = "#" + "".join(f"{round(255 * part):02x}" for part in parts)
    return found


def mixed(color: str, other: str, share: float) -> str:
    """Return a mixture of two colors, with `share` of the first one, from 0 to 1."""
    pairs = zip(_parts(color), _parts(other), strict=True)
    return "#" + "".join(f"{round(one * share + two * (1 - share)):02x}" for one, two in pairs)


def on_color(color: str) -> str:
    """Return the color of texts on `color`: white, or nearly black where white cannot be read."""
    white = _ON_COLORS[0]
    return (
        white if contrast(white, color) >= LEAST_CONTRAST else max(_ON_COLORS, key=lambda text: contrast(text, color))
    )


def _parts(color: str) -> tuple[int, ...]:
    return tuple(int(color[at : at + 2], 16) for at in (1, 3, 5))


def _luminance(color: str) -> float:
    parts = [part / 255 for part in _parts(color)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
