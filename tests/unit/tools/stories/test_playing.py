"""StoryOptions a story: which emails arrive, why, and what does not come."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from streams.definitions.layers import open_layers
from streams.settings import PROJECT_ROOT, load_settings
from streams.tools.preview.emails import Emails
from streams.tools.preview.story_player import StoryOptions, StoryPlayer
from streams.tools.stories.played_story import Entry, EntryKind, PlayedStory
from streams.tools.stories.story_files import SHIPPED
from tests.harness.story_templates import STORY, write_story_templates


def played(root: Path, name: str = "ada", story: str = "", **values: object) -> PlayedStory:
    """Play a story of a folder, which may replace `ada`."""
    if story:
        (root / "stories" / "ada.yaml").write_text(story)
    settings = load_settings(templates_dir=root)
    with open_layers(root) as layers:
        return StoryPlayer(Emails(layers.path), layers, settings).play(StoryOptions(name=name, **values))


def of_kind(story: PlayedStory, kind: EntryKind) -> list[Entry]:
    """Return the entries of a kind."""
    return [entry for entry in story.entries if entry.kind == kind]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The small templates folder with the story `ada`."""
    return write_story_templates(tmp_path / "templates")


def test_emails_and_their_reasons(root: Path) -> None:
    """An email has its subject, the event and the wait that led to it, the branch, and the rule that allows it."""
    story = played(root)
    mail = next(entry for entry in of_kind(story, "email") if entry.flows == ("review",))
    assert (mail.text, mail.message, f"{mail.at:%m-%d %H:%M}") == ("Hej there", "hi", "03-06 12:00")
    assert mail.because[:2] == (
        "2 days after: the parcel of order 1001 is delivered, on Wed 4 Mar",
        "path through the flow: wait 2 days, if customer.is_new",
    )
    assert mail.because[2].startswith("allowed: the customer opted in")
    assert story.entries[mail.cause - 1].text == "The parcel of order 1001 is delivered"
    assert [entry.number for entry in story.entries] == list(range(1, len(story.entries) + 1))
    assert set(story.emails) == {entry.number for entry in of_kind(story, "email")}


def test_what_does_not_come(root: Path) -> None:
    """Drafts, conditions that are false, and exits are entries, in the words of `takk why`."""
    reasons = {entry.flows: entry.text for entry in of_kind(played(root), "missed")}
    assert "the flow is a draft" in reasons[("later",)]
    assert "order.is_pickup is true" in reasons[("home-delivery",)]
    assert "the order was refunded" in reasons[("review",)]


def test_drafts_can_send(root: Path) -> None:
    """With drafts, draft flows send too."""
    assert ("later",) in {entry.flows for entry in of_kind(played(root, has_drafts=True), "email")}


def test_language_and_first_day(root: Path) -> None:
    """The customer may read another language, and the story may start on another day."""
    story = played(root, language="en", first_day=date(2026, 12, 4))
    assert of_kind(story, "email")[0].text == "Hello there"
    assert "2 × Tea" in story.entries[0].text
    command = next(iter(story.emails.values()))
    assert (command.locale, command.context["mood"]) == ("en", "christmas")


def test_the_end_of_a_story(root: Path) -> None:
    """A story ends after its days; flows that wait then are listed with the time."""
    story = played(root, days=2)
    assert [entry.kind for entry in story.entries] == ["event", "email", "missed", "missed", "waiting"]
    assert (story.waiting[0].flows, f"{story.waiting[0].at:%m-%d}") == (("hello",), "03-04")


def test_the_past(root: Path) -> None:
    """Events before day 0 count, and are not listed."""
    past = STORY.replace("events:\n", "events:\n  - {day: -90, order: {id: old, lines: {TEA: 1}}}\n")
    story = played(root, story=past)
    assert (story.orders_before, story.emails_before) == (1, 2)
    assert story.entries[0].text.startswith("Ada orders 2")
    assert not any("is_new" in reason for entry in of_kind(story, "email") for reason in entry.because)


def test_a_reaction_to_an_email_that_did_not_come(root: Path) -> None:
    """A customer cannot open an email that a shop's flows do not send: the story says so."""
    story = played(root, story=STORY.replace("review/hi", "welcome/first"))
    assert "Ada would react to the email welcome/first, but has not got it" in [entry.text for entry in story.entries]


def test_one_entry_for_a_row_of_deferrals(root: Path) -> None:
    """An email that is deferred every day is one entry with a number."""
    late = STORY.split("events:")[0] + (
        "events:\n  - {day: 0, order: {lines: {TEA: 2}}}\n  - {day: 1, shipped: {expected: 2}}\n"
        '  - {day: 1, at: "13:00", delayed: }\n  - {day: 6, out_for_delivery: }\n  - {day: 6, at: "18:00", delivered: }\n'
    )
    late_once, quiet = of_kind(played(root, story=late), "deferred")
    assert "an order is late" in late_once.text
    assert (late_once.times, quiet.times) == (5, 1)


def test_recommended_products(tmp_path: Path) -> None:
    """Recommendations come from the products of the story and their sales."""
    story = played(PROJECT_ROOT / "templates", "first-time", days=20)
    (number,) = [entry.number for entry in of_kind(story, "email") if entry.flows == ("goes-well-with",)]
    assert {product["sku"] for product in story.emails[number].context["products"]} >= {"WAX-1", "LACE-1"}


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.yaml")))
def test_shipped_stories_with_shipped_flows(name: str) -> None:
    """Each email of each shipped story can be rendered."""
    story = played(PROJECT_ROOT / "templates", name, has_drafts=True)
    assert [(entry.flows, entry.error) for entry in story.entries if entry.error] == []
    assert len(story.emails) > 5
