"""Template filters: amounts are written as Babel writes them, whichever shortcut is taken."""

from __future__ import annotations

import re

from babel import Locale
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st

from streams.core.values.money import major
from streams.mail.rendering.filters import formats_of

LOCALES = [
    "da",
    "en",
    "en_IN",
    "de_CH",
    "es",
    "pl",
    "pt_PT",
    "fr",
    "ja",
    "ar",
    "fa",
    "hi",
    "sv_SE",
    "nb",
    "he",
    "bn_BD",
]
CURRENCIES = ["DKK", "EUR", "USD", "JPY", "KWD", "CLF", "ISK", "HUF", "INR", "CHF", "XAU"]
#: Currencies that CLDR writes without their decimals.
ROUNDED = ["RSD", "IQD", "ALL", "MGA"]


@given(st.integers(-(10**12), 10**12), st.sampled_from(CURRENCIES), st.sampled_from(LOCALES))
def test_amounts_are_written_as_babel_writes_them(minor: int, currency: str, locale: str) -> None:
    """This holds for any amount, currency and locale, but for the sign of negative amounts and spaces around codes."""
    babel = Locale.parse(locale)
    written, expected = (
        formats_of(babel).amount(minor, currency),
        format_currency(major(minor, currency), currency, locale=babel),
    )
    assert "-" not in written
    assert _plain(written) == _plain(expected)


@given(st.integers(-(10**12), 10**12), st.sampled_from([*CURRENCIES, *ROUNDED]), st.sampled_from(LOCALES))
def test_amounts_are_never_rounded(minor: int, currency: str, locale: str) -> None:
    """All digits of an amount are shown, so that the lines of a receipt give its total."""
    written = formats_of(Locale.parse(locale)).amount(minor, currency)
    assert re.sub(r"\D", "", written) == re.sub(r"\D", "", str(major(minor, currency)))


def _plain(amount: str) -> str:
    return amount.replace("\u2212", "-").replace("JP\xa5", "JPY").replace("\xa0", "")
