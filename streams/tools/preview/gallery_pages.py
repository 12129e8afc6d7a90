"""The pages of a gallery: contact sheets, one per language, and the page of what changed. They work from a folder, without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.tools.preview.choices import SCHEMES, WIDTHS, language_name
from streams.tools.preview.page_parts import ASSETS, environment
from streams.tools.preview.story_pages import story_file_name
from streams.tools.stories.story import Story

if TYPE_CHECKING:
    from streams.tools.preview.changes import Changes
    from streams.tools.preview.gallery import Gallery

_ENVIRONMENT = environment(ASSETS)


def write_sheets(out: Path, gallery: Gallery, stories: Sequence[Story] = ()) -> None:
    """Write the contact sheet of each language. The first one is the index, and links to the pages of stories."""
    languages = list(dict.fromkeys(email.language for email in gallery.emails))
    pages = [
        (language, "index.html" if not number else f"sheet-{language}.html")
        for number, language in enumerate(languages)
    ]
    for language, file in pages:
        emails = [email for email in gallery.emails if email.language == language]
        groups = [(name, list(each)) for name, each in groupby(emails, key=lambda email: email.group)]
        links = [(language_name(other), other_file, other == language) for other, other_file in pages]
        _write(
            out / file,
            "gallery.html.j2",
            f"Emails of {gallery.shop}",
            groups=groups,
            links=links,
            lang=language,
            count=len(emails),
            stories=[(story.title, story_file_name(story.name)) for story in stories],
        )


def write_changes(out: Path, changes: Changes) -> None:
    """Write the page of what changed between two galleries."""
    _write(out / "changes.html", "changes.html.j2", "Changed emails", changes=changes)


def _write(path: Path, template: str, title: str, **values: Any) -> None:
    common: dict[str, Any] = {"title": title, "widths": WIDTHS, "schemes": SCHEMES, "language_name": language_name}
    path.write_text(_ENVIRONMENT.get_template(template).render(common | values), encoding="utf-8")


def percent(share: float) -> str:
    """Return a share for people: a change is never shown as 0 %."""
    if 0 < share < 0.0001:
        return "< 0.01 %"
    return f"{100 * share:.2f} %" if share < 0.1 else f"{100 * share:.0f} %"


_ENVIRONMENT.filters["percent"] = percent
