"""Subjects of emails: those that phones cut, and those that spam filters and customers distrust."""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.definitions.problems import Problem

#: Letters of a subject after which phones cut it.
LONG_SUBJECT = 50
#: Letters of a subject from which on capital letters count: names such as UPS and DHL are short.
_SHORT = 8
#: Words that filters count, in the languages of most shops here. An ordinary word that is also in honest subjects is not here.
_WORDS = re.compile(
    r"\b(?:100\s?% free|act now|buy now|click here|cash bonus|free money|guaranteed|hurry|last chance|risk[- ]free|urgent|winner"
    r"|gratis|klik her|køb nu|sidste chance|skynd dig|garanteret|vinder"
    r"|klikk her|kjøp nå|siste sjanse|skynd deg|garantert|vinner"
    r"|klicka här|köp nu|sista chansen|skynda dig|garanterat|vinnare"
    r"|klik hier|koop nu|laatste kans|gegarandeerd|winnaar"
    r"|jetzt kaufen|kostenlos|letzte chance|garantiert|gewinner)\b",
    re.IGNORECASE,
)
#: The beginning of an answer or of a forwarded email, which this is not.
_ANSWER = re.compile(r"\s*(?:re|fw|fwd|sv|vs|vb|aw|wg|antw|doorst)\s*:", re.IGNORECASE)
_MARKS = re.compile(r"!\s*!|\?\s*!|!\s*\?|[$€£]\s*[$€£]")


def subject_problems(subject: str) -> Iterator[tuple[str, Problem]]:
    """Yield the warnings about a subject, each with the words that it is about ("" for all of it), without a place."""
    if message := why_long(subject):
        yield "", Problem("message.W017", message, "shorten it, and continue in the preview")
    for words, what in _spam(subject):
        message = f"the subject looks like spam: {what}"
        yield words, Problem("message.W018", message, "say what the email is about, in plain words")
        return  # one is enough to look at it


def why_long(subject: str) -> str:
    """Return that phones cut a subject, in words, or ""."""
    if len(subject) <= LONG_SUBJECT:
        return ""
    return f"the subject has {len(subject)} letters; phones cut it after about {LONG_SUBJECT}"


def _spam(subject: str) -> Iterator[tuple[str, str]]:
    if (match := _ANSWER.match(subject)) is not None:
        yield match[0].strip(), f"{match[0].strip()!r} looks like an answer"
    if (match := _MARKS.search(subject)) is not None:
        yield match[0], f"{match[0]!r}"
    if (match := _WORDS.search(subject)) is not None:
        yield match[0], f"{match[0]!r} is a word that filters count"
    letters = [sign for sign in subject if sign.isalpha()]
    if len(letters) >= _SHORT and 2 * sum(sign.isupper() for sign in letters) > len(letters):
        yield "", "most of it is in capital letters"
