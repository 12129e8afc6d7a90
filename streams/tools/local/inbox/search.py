"""The search of the inbox's page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

#: The newest emails that a search looks at. Decoding the headers of more takes too long for a page.
MOST_SEARCHED = 20_000


class FoundEmail(Protocol):
    """The part of an email that a search looks at."""

    to: tuple[str, ...]

    @property
    def name(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def flow(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def send_id(self) -> str: ...


Email = TypeVar("Email", bound=FoundEmail)


def find(mails: Sequence[Email], words: str, flow: str, language: str) -> list[Email]:
    """Return the emails that a search finds, the newest first.

    Args:
        mails: the emails, the oldest first.
        words: parts of the address, the name, the subject, the flow, the message or the send id; all of them, ignoring case.
        flow, language: those of the emails; "" for any.
    """
    wanted = words.casefold().split()
    if not (wanted or flow or language):
        return list(reversed(mails))
    return [
        mail
        for mail in _newest(mails)
        if (not flow or mail.flow == flow)
        and (not language or mail.language == language)
        and (not wanted or _has(mail, wanted))
    ]


def _newest(mails: Sequence[Email]) -> Iterator[Email]:
    return (mails[index] for index in range(len(mails) - 1, max(-1, len(mails) - 1 - MOST_SEARCHED), -1))


def _has(mail: FoundEmail, wanted: Sequence[str]) -> bool:
    text = " ".join([*mail.to, mail.name, mail.subject, mail.flow, mail.message, mail.send_id]).casefold()
    return all(word in text for word in wanted)
