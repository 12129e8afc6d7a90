"""The countries of locales."""

from __future__ import annotations

import pytest

from streams.core.values.locale_countries import likely_country, region_of


@pytest.mark.parametrize(
    ("locale", "region", "likely"),
    [
        ("de", "", "DE"),
        ("de-AT", "AT", "AT"),
        ("de_at", "AT", "AT"),
        ("zh-Hant-HK", "HK", "HK"),
        ("de-DE-u-co-phonebk", "DE", "DE"),
        ("de-u-rg-atzzzz", "", "DE"),
        ("es-419", "", "ES"),
        ("nb", "", "NO"),
        ("DA", "", "DK"),
        ("xx", "", ""),
        ("", "", ""),
    ],
)
def test_countries_of_locales(locale: str, region: str, likely: str) -> None:
    """The region counts, else the country where most people read the language."""
    assert (region_of(locale), likely_country(locale)) == (region, likely)
