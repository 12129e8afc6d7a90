"""The markup that Outlook needs: conditional comments that end, tables that are balanced for its engine, and pictures with a width.

Outlook for Windows draws emails with the engine of Word. It ignores `max-width` and CSS widths of pictures, so layouts have tables for it in
conditional comments (`<!--[if mso]>…<![endif]-->`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser

from msgspec import Struct

from streams.definitions.problems import Problem

_START, _END = "[if", "<![endif]"
#: The end of a comment after which everybody sees the content: `<!--[if !mso]><!-->`.
_REVEALED = "<!"
_TAGS = re.compile(r"<(/?)(table|tr|td)\b", re.IGNORECASE)
_CONDITION = re.compile(r"\[if[^\]]*\]>?")


class OutlookProblem(Struct, frozen=True):
    """A problem in the markup of an email.

    Attributes:
        words: the markup, as far as it helps to find the place.
        problem: the problem, without a place.
    """

    words: str
    problem: Problem


def outlook_problems(html: str) -> Iterator[OutlookProblem]:
    """Yield the problems that Outlook and screen readers have with the HTML of an email."""
    page = _Markup(html)
    yield from page.found
    if page.is_open:
        yield OutlookProblem(page.is_open, _comment("a conditional comment does not end"))
    for tag, difference in sorted(page.opened.items()):
        if difference:
            what = "opens" if difference > 0 else "closes"
            message = f"the conditional comments {what} {abs(difference)} <{tag}> too many for Outlook"
            yield OutlookProblem("", Problem("message.W008", message, "close each tag in a comment of the same kind"))


def _comment(message: str) -> Problem:
    return Problem("message.W008", message, "write <!--[if mso]>…<![endif]-->, or <!--[if !mso]><!-->…<!--<![endif]-->")


class _Markup(HTMLParser):
    """Reads an email and notes the problems.

    Attributes:
        found: the problems that have a place.
        opened: by tag, how many more are opened than closed in comments that only Outlook reads.
        is_open: the start of a comment that everybody reads and that has not ended, or "".
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[OutlookProblem] = []
        self.opened: Counter[str] = Counter()
        self.is_open = ""
        self.feed(html)
        self.close()

    def handle_comment(self, data: str) -> None:
        """Note what a conditional comment opens and closes."""
        condition = _CONDITION.match(data)
        if condition is None:
            if data.strip() == _END:
                if not self.is_open:
                    self._note(data, _comment("a conditional comment ends that has not begun"))
                self.is_open = ""
        elif data.endswith(_REVEALED):
            if self.is_open:
                self._note(data, _comment("a conditional comment begins in another one"))
            self.is_open = condition[0]
        elif not data.endswith(_END) or data.count(_START) > 1:
            self._note(condition[0], _comment("a conditional comment does not end"))
        else:
            for closes, tag in _TAGS.findall(data):
                self.opened[tag.lower()] += -1 if closes else 1
            if re.search(r"<table\b(?![^>]*\brole=)", data, re.IGNORECASE):
                self._note("<table", _role())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a table without a role, or a picture without a width."""
        names = {name for name, _ in attrs}
        written = (self.get_starttag_text() or "").rstrip(">")
        if tag == "table" and "role" not in names:
            self._note(written, _role())
        if tag == "img" and "width" not in names:
            message = "a picture has no width: Outlook shows it in its own size"
            self._note(written, Problem("message.W010", message, 'add width="…" in pixels'))

    def _note(self, words: str, problem: Problem) -> None:
        self.found.append(OutlookProblem(words, problem))


def _role() -> Problem:
    message = "a table has no role: screen readers read it as data"
    return Problem("message.W009", message, 'add role="presentation", or role="table" for data')
