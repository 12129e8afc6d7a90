"""A story that was played: its events, its emails with their reasons, and the emails that were not sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from itertools import groupby
from typing import Any, Literal, TypeAlias

from msgspec import Struct, to_builtins

from streams.mail.command import Command
from streams.tools.stories.story import Story

EntryKind: TypeAlias = Literal["event", "email", "missed", "deferred", "waiting"]


class Shown(Struct, frozen=True):
    """An email as it is shown: its subject, and why it cannot be rendered, or ""."""

    subject: str
    preheader: str = ""
    error: str = ""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One point of a story.

    Attributes:
        number: its number, from 1.
        at: the local time of the customer.
        kind: an event of the customer or shop, an email, an email that is not sent, one that is deferred, or a flow that still waits.
        text: the event, the subject, or the reason.
        flows: the flows that it is about. Several flows with the same reason are one entry.
        message: the name of the email.
        preheader: what inboxes show after the subject.
        because: why the email is sent, one reason each.
        times: how often an email is deferred in a row, from this time on.
        cause: the number of the event that leads to it; 0 for an event before the first day, and if only time passed.
        error: why it cannot be rendered, or "".
    """

    number: int
    at: datetime
    kind: EntryKind
    text: str
    flows: tuple[str, ...] = ()
    message: str = ""
    preheader: str = ""
    because: tuple[str, ...] = ()
    times: int = 1
    cause: int = 0
    error: str = ""


class PlayedStory(Struct, frozen=True, kw_only=True):
    """A story that was played.

    Attributes:
        story: the story.
        language: the language of the customer.
        first_day, days: when it starts, and how long it is.
        entries: what happens from the first day on, in order.
        emails: the emails, by the number of their entry.
        orders_before, emails_before: how many orders and emails there were before the first day.
    """

    story: Story
    language: str
    first_day: date
    days: int
    entries: tuple[Entry, ...]
    emails: dict[int, Command]
    orders_before: int
    emails_before: int

    def as_json(self) -> dict[str, Any]:
        """Return the story in JSON types."""
        return {
            "story": self.story.name,
            "title": self.story.title,
            "language": self.language,
            "start": self.first_day.isoformat(),
            "days": self.days,
            "orders_before": self.orders_before,
            "emails_before": self.emails_before,
            "entries": to_builtins(self.entries),
        }

    def days_of_entries(self) -> Iterator[tuple[date, list[Entry]]]:
        """Yield the entries of each day, without the flows that still wait at the end."""
        happened = [entry for entry in self.entries if entry.kind != "waiting"]
        for day, entries in groupby(happened, key=lambda entry: entry.at.date()):
            yield day, list(entries)

    @property
    def waiting(self) -> list[Entry]:
        """The flows that still wait at the end."""
        return [entry for entry in self.entries if entry.kind == "waiting"]
