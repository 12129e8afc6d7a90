"""The pages of stories: a time line, and at each point the email with its reasons, or what did not come. On the local page or as one file."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streams.definitions.problems import FlowFileError
from streams.tools.preview.choices import SCHEMES, WIDTHS, label_of, language_name
from streams.tools.preview.emails import EmailFailed
from streams.tools.preview.page_parts import ASSETS, environment
from streams.tools.preview.shown_html import Scheme, shown_html
from streams.tools.preview.story_choice import FIRST_DAYS, LENGTHS, StoryChoice
from streams.tools.preview.story_player import StoryOptions, StoryPlayer
from streams.tools.stories.played_story import Entry, PlayedStory
from streams.tools.stories.story import Story
from streams.tools.stories.words import day_text

#: The kinds of entries in words.
LABELS = {"event": "Event", "email": "Email", "missed": "Not sent", "deferred": "Deferred", "waiting": "Waiting"}
#: The vertical places of marks in the picture of the time line, in pixels, and its height.
_ROWS = {"email": 14, "event": 34, "missed": 54, "deferred": 54}
_HEIGHT = 84
#: Days between two dates in the picture, for lengths up to the first number.
_TICKS = ((45, 7), (90, 14), (180, 30), (10_000, 60))
_ENVIRONMENT = environment(ASSETS)


def story_values(played: PlayedStory) -> dict[str, Any]:
    """Return what the templates of a story show, without the choices and the emails."""
    points = [entry for entry in played.entries if entry.kind != "waiting"]
    first = next((entry.number for entry in points if entry.kind == "email"), points[0].number if points else 0)
    return {
        "played": played,
        "points": [_point(entry, played) for entry in points],
        "days": [
            {
                "name": day_text(entries[0].at),
                "number": (day - played.first_day).days,
                "points": [_point(entry, played) for entry in entries],
            }
            for day, entries in played.days_of_entries()
        ],
        "missed": [_point(entry, played) for entry in points if entry.kind == "missed"],
        "waiting": [_point(entry, played) for entry in played.waiting],
        "first": first,
        "ticks": _ticks(played),
        "height": _HEIGHT,
        "language_name": language_name(played.language),
        "last_day": played.first_day + timedelta(days=played.days - 1),
    }


def _point(entry: Entry, played: PlayedStory) -> dict[str, Any]:
    """Return an entry with its place on the time line. A share of the width is a text, because no style may hold it."""
    begins = datetime.combine(played.first_day, datetime.min.time(), entry.at.tzinfo)
    share = (entry.at - begins) / timedelta(days=played.days)
    return {
        "entry": entry,
        "label": LABELS[entry.kind],
        "when": f"{day_text(entry.at)}, {entry.at:%H:%M}",
        "x": f"{1 + 98 * min(max(share, 0), 1):.2f}%",
        "y": _ROWS.get(entry.kind, 0),
        "flows": ", ".join(entry.flows),
        "led": [_led(other) for other in played.entries if entry.kind == "event" and other.cause == entry.number],
    }


def _led(entry: Entry) -> dict[str, Any]:
    """Return an email that an event leads to."""
    when = f"{day_text(entry.at)}, {entry.at:%H:%M}"
    return {"number": entry.number, "kind": entry.kind, "label": LABELS[entry.kind], "when": when, "text": entry.text}


def _ticks(played: PlayedStory) -> list[tuple[str, str]]:
    """Return the places and the words of dates below the time line."""
    step = next(each for most, each in _TICKS if played.days <= most)
    days = range(0, played.days - step // 2, step)
    return [
        (f"{1 + 98 * day / played.days:.2f}%", f"{played.first_day + timedelta(days=day):%d %b}".lstrip("0"))
        for day in days
    ]


def choices_of(
    path: str, choice: StoryChoice, played: PlayedStory, languages: list[str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the links of each choice, by its label."""

    def links(name: str, values: tuple[str, ...], current: str, words: dict[str, str]) -> list[dict[str, Any]]:
        return [
            {
                "label": words.get(value, value),
                "link": f"{path}{choice.with_values(**{name: value}).query}",
                "is_chosen": value == current,
            }
            for value in values
        ]

    known = tuple(dict.fromkeys([played.story.customer.language, *languages, played.language]))
    names = {value: language_name(value) for value in known}
    days = {value: day_text(datetime.fromisoformat(value)) for value in (*FIRST_DAYS, choice.start)}
    return [
        ("Language", links("language", known, played.language, names)),
        ("Starts", links("start", tuple(days), choice.start, days)),
        ("Length", links("days", LENGTHS, choice.days, {value: f"{value} days" for value in LENGTHS})),
        ("Drafts", links("drafts", ("off", "on"), choice.drafts, {"off": "Send nothing", "on": "Send too"})),
        ("Width", links("width", WIDTHS, choice.width, {value: label_of("width", value) for value in WIDTHS})),
        ("Colors", links("scheme", SCHEMES, choice.scheme, {value: label_of("scheme", value) for value in SCHEMES})),
    ]


def story_path(name: str) -> str:
    """Return the address of the page of a story."""
    return f"/story/{quote(name, safe='')}"


def email_html(stories: StoryPlayer, played: PlayedStory, number: int, scheme: Scheme | None) -> str:
    """Return the HTML of an email of a story as a frame shows it.

    Args:
        stories: renders the email.
        played: the story.
        number: the number of its entry.
        scheme: the colors, or None for those of the browser.

    Raises:
        KeyError: the entry has no email.
        EmailFailed: it cannot be rendered.
    """
    emails = stories.emails
    return shown_html(emails.rendered(played.emails[number]), scheme, pictures=emails.pictures)


def story_file(stories: StoryPlayer, played: PlayedStory) -> str:
    """Return a story as one page that needs no other file and no server."""
    frames = {}
    for number in played.emails:
        try:
            frames[number] = email_html(stories, played, number, None)
        except EmailFailed:
            continue  # the entry says why
    script = (ASSETS / "story.js").read_text(encoding="utf-8")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    style = (ASSETS / "preview.css").read_text(encoding="utf-8")
    values = story_values(played) | {"frames": frames, "script": script, "digest": digest, "style": style}
    return _ENVIRONMENT.get_template("story_file.html.j2").render(
        values, shop=stories.emails.shop_name, sender=stories.emails.sender, width="390", address=""
    )


def story_file_name(name: str) -> str:
    """Return the name of the file of a story in a gallery."""
    return f"story-{name}.html"


def write_stories(stories: StoryPlayer, out: Path) -> tuple[list[Story], list[str]]:
    """Write a page for each story, and return those that were played, with the problems of the others.

    Raises:
        OSError: a file cannot be written.
    """
    played: list[Story] = []
    problems = [str(problem) for problem in stories.files.problems]
    for name, story in stories.stories.items():
        try:
            page = story_file(stories, stories.play(StoryOptions(name=name)))
        except FlowFileError as error:
            return played, [*problems, f"stories cannot be played, because the flows contain errors:\n{error}"]
        (out / story_file_name(name)).write_text(page, encoding="utf-8")
        played.append(story)
    return played, problems
