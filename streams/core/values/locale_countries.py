"""The country that a locale speaks of: its region, or the country where most people read its language."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Language -> country. Source: the likely subtags of CLDR.
_BY_LANGUAGE: Mapping[str, str] = MappingProxyType(
    {
        "af": "ZA", "am": "ET", "ar": "EG", "az": "AZ", "be": "BY", "bg": "BG", "bn": "BD", "bs": "BA", "ca": "ES", "cs": "CZ",
        "da": "DK", "de": "DE", "el": "GR", "en": "US", "es": "ES", "et": "EE", "eu": "ES", "fa": "IR", "fi": "FI", "fo": "FO",
        "fr": "FR", "ga": "IE", "gl": "ES", "he": "IL", "hi": "IN", "hr": "HR", "hu": "HU", "hy": "AM", "id": "ID", "is": "IS",
        "it": "IT", "ja": "JP", "ka": "GE", "kk": "KZ", "kl": "GL", "km": "KH", "ko": "KR", "ky": "KG", "lb": "LU", "lo": "LA",
        "lt": "LT", "lv": "LV", "mk": "MK", "mn": "MN", "ms": "MY", "mt": "MT", "my": "MM", "nb": "NO", "ne": "NP", "nl": "NL",
        "nn": "NO", "no": "NO", "pl": "PL", "pt": "BR", "rm": "CH", "ro": "RO", "ru": "RU", "se": "NO", "si": "LK", "sk": "SK",
        "sl": "SI", "sq": "AL", "sr": "RS", "sv": "SE", "sw": "TZ", "ta": "IN", "th": "TH", "tr": "TR", "uk": "UA", "ur": "PK",
        "uz": "UZ", "vi": "VN", "zh": "CN",
    }
)  # fmt: skip


def region_of(locale: str) -> str:
    """Return the region of a locale (ISO 3166-1 alpha-2), "" if it names none: "AT" for "de-AT" and "de_Latn_AT"."""
    for part in locale.replace("_", "-").split("-")[1:]:
        if len(part) == 1:  # the extensions begin
            return ""
        if len(part) == 2 and part.isalpha():
            return part.upper()
    return ""


def likely_country(locale: str) -> str:
    """Return the region of a locale, else the country where most people read its language; "" if unknown."""
    return region_of(locale) or _BY_LANGUAGE.get(locale.replace("_", "-").partition("-")[0].lower(), "")
