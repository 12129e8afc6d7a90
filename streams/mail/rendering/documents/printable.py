"""Texts of a document in the letters that its fonts have."""

from __future__ import annotations

import unicodedata
from collections.abc import Set as AbstractSet
from functools import lru_cache

#: In the place of a letter that the fonts lack: a plain box, as other programs show it.
BOX = "□"
#: Currencies whose sign the fonts lack, and other signs with a usual spelling.
_SPELT = {
    "₸": "KZT", "₹": "INR", "₺": "TRY", "₼": "AZN", "₽": "RUB", "₾": "GEL", "₿": "BTC", "₷": "SPM", "₻": "NMK", "₶": "FRL", "\u2011": "-",
}  # fmt: skip


def printable(text: str, known: AbstractSet[str]) -> str:
    """Return a text in one line, in known letters.

    A letter that is unknown is spelt with known ones if Unicode says how, such as ﬁ as fi. Otherwise it becomes a box: customers see that
    something is there. Signs without a shape of their own, such as those that join emojis or change the direction, are left out.

    Args:
        text: any text.
        known: the letters that the fonts have.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join([_known(letter, known) for letter in unicodedata.normalize("NFC", text)])


def _known(letter: str, known: AbstractSet[str]) -> str:
    category = _category(letter)
    if letter in known and category != "Cf":
        return letter
    if category in ("Zl", "Zp", "Cc"):
        return " "
    if category == "Zs":
        return "\xa0"  # narrow and thin ones separate thousands, where a line must not break
    if category in ("Cf", "Mn", "Me"):
        return ""
    if letter in _SPELT:
        return _SPELT[letter]
    spelt = "".join([part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part)])
    return spelt if spelt and all(part in known for part in spelt) else BOX


@lru_cache(maxsize=4096)
def _category(letter: str) -> str:
    return unicodedata.category(letter)
