"""A played story as text for a terminal, and the list of stories."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from datetime import timedelta

from streams.core.values.text import counted, plain
from streams.tools.stories.played_story import Entry, PlayedStory
from streams.tools.stories.story import Story
from streams.tools.stories.words import day_text

#: Columns of the text, and of the times at its left.
WIDTH, _TIMES = 80, 9
_LABELS = {"email": "EMAIL", "missed": "not", "deferred": "later"}


def format_stories(stories: Iterable[Story]) -> Iterator[str]:
    """Yield the lines that list the stories."""
    for story in stories:
        own = " (your own)" if story.is_own else ""
        yield plain(f"{story.name}: {story.title}{own}")
        yield from _wrapped(story.about, "  ", "  ")


def format_played(played: PlayedStory) -> Iterator[str]:
    """Yield the lines of a played story, at most 80 columns wide if no single word is longer."""
    story, customer = played.story, played.story.customer
    last_day = played.first_day + timedelta(days=played.days - 1)
    yield plain(f"{story.title} ({story.name})")
    yield from _wrapped(story.about, "", "")
    place = ", ".join(part for part in (customer.name, customer.city, customer.country) if part)
    span = f"{played.first_day:%a} {played.first_day} to {last_day:%a} {last_day}"
    yield from _wrapped(f"{place}. Language: {played.language}. {span}, times in {customer.time_zone}.", "", "")
    if played.orders_before or played.emails_before:
        before = f"{counted(played.orders_before, 'order')} and {counted(played.emails_before, 'email')}"
        yield from _wrapped(f"Before the first day: {before}.", "", "")
    for _, entries in played.days_of_entries():
        yield ""
        day = (entries[0].at.date() - played.first_day).days
        yield f"{day_text(entries[0].at)} · day {day}"
        before = ""
        for entry in entries:
            time = f"{entry.at:%H:%M}"
            yield from _entry(entry, "" if time == before else time)
            before = time
    yield ""
    if played.waiting:
        yield "Still waiting at the end:"
        for entry in played.waiting:
            yield from _wrapped(f"{entry.flows[0]}: {entry.text} ({entry.at:%Y-%m-%d})", "  ", "    ")
    emails = len(played.emails)
    missed = sum(len(entry.flows) for entry in played.entries if entry.kind == "missed")
    yield f"{counted(emails, 'email')} in {counted(played.days, 'day')}. A flow sent nothing {counted(missed, 'time')}."


def _entry(entry: Entry, time: str) -> Iterator[str]:
    first = f"  {time:<{_TIMES - 2}}"
    rest = " " * _TIMES
    label = _LABELS.get(entry.kind)
    if label is None:
        yield from _wrapped(entry.text, first, rest)
        return
    inner = rest + " " * 7
    times = f" ({counted(entry.times, 'time')})" if entry.times > 1 else ""
    subject = entry.text if entry.kind == "email" else f"{', '.join(entry.flows)}: {entry.text}{times}"
    yield from _wrapped(subject, f"{first}{label:<7}", inner)
    if entry.kind == "email":
        yield from _wrapped(f"{entry.flows[0]}/{entry.message}", inner, inner)
    for reason in entry.because:
        yield from _wrapped(reason, f"{inner}- ", f"{inner}  ")
    if entry.error:
        yield from _wrapped(f"cannot be rendered: {entry.error}", f"{inner}! ", f"{inner}  ")


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    lines = textwrap.wrap(
        plain(text), WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return lines or [first.rstrip()]
