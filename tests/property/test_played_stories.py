"""Stories of random events: they never crash, and each email that is listed is one that the core sent."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model.effects import Effect, SendMail
from streams.definitions.loader import load_ruleset
from streams.settings import load_settings
from streams.tools.operations.event_records import read_event
from streams.tools.simulation.simulator import Simulator
from streams.tools.stories.played_story import Shown
from streams.tools.stories.playing import FIRST_DAY, play
from streams.tools.stories.reader import parse_story
from streams.tools.stories.shop_records import CUSTOMER_ID, StoryShop
from streams.tools.stories.story import EMAIL_KINDS, PARCEL_KINDS, Story
from streams.tools.stories.story_files import read_stories
from streams.tools.stories.story_text import format_played
from tests.harness.examples import examples
from tests.harness.story_templates import write_story_templates

ROOT = write_story_templates(Path(mkdtemp(prefix="takk-stories-")))
SCHEMAS = load_settings().schemas_dir
RULESET = load_ruleset(ROOT)
PRODUCTS = read_stories(ROOT, SCHEMAS).stories["ada"].products
DAYS = 60

lines = st.dictionaries(st.sampled_from(["TEA", "BOOT-1", "WAX-1"]), st.integers(1, 3), min_size=1)
orders = st.fixed_dictionaries(
    {"lines": lines}, optional={"delivery": st.sampled_from(["home", "pickup"]), "discount": st.integers(1, 99)}
)
later = st.fixed_dictionaries({}, optional={"lines": lines})
parcels = st.fixed_dictionaries(
    {}, optional={"parcel": st.integers(1, 3), "parcels": st.integers(1, 3), "expected": st.integers(0, 9)}
)
skus = st.sampled_from(["TEA", "WAX-1"])
happenings: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"order": orders}),
    st.builds(lambda kind, value: {kind: value}, st.sampled_from(["paid", "changed", "cancelled", "refunded"]), later),
    st.builds(lambda kind, value: {kind: value}, st.sampled_from(PARCEL_KINDS), parcels),
    st.builds(
        lambda kind, value: {kind: value}, st.sampled_from(EMAIL_KINDS), st.sampled_from(["", "hello/hi", "no/email"])
    ),
    st.builds(lambda kind, value: {kind: value}, st.sampled_from(["views", "wishes", "likes", "adds_to_cart"]), skus),
    st.builds(lambda scope: {"unsubscribes": scope}, st.sampled_from(["marketing", "review", "survey", "service"])),
    st.builds(
        lambda answer: {"answers": {"nps": answer}}, st.text("0123456789 ab", min_size=1, max_size=9).filter(str.strip)
    ),
    st.builds(lambda stars: {"reviews": {"stars": stars}}, st.integers(1, 5)),
    st.builds(lambda sku, price: {"product": {"sku": sku, "price": price}}, skus, st.integers(1, 2_000)),
    st.just({"record": {"kind": "cart_emptied"}}),
)
moments = st.tuples(st.integers(-20, 50), st.times(min_value=time(0), max_value=time(23, 59)))
events = st.builds(lambda moment, what: {"day": moment[0], "at": f"{moment[1]:%H:%M}"} | what, moments, happenings)


def sent_by_core(story: Story) -> list[str]:
    """Return the ids of the emails that the core sends in the days of a story, by a plain simulation of its records."""
    sent: list[tuple[datetime, SendMail]] = []

    def note(effect: Effect, now: datetime) -> None:
        if isinstance(effect, SendMail):
            sent.append((now, effect))

    shop = StoryShop(story, story.customer.language, FIRST_DAY)
    begins = datetime.combine(FIRST_DAY, time(), ZoneInfo(story.customer.time_zone))
    start = min(begins, shop.time_of(story.events[0])) - timedelta(days=2)
    run = Simulator(RULESET, start.astimezone(UTC), on_effect=note, has_codes=True)
    endpoint, profile = shop.profile(start)
    run.handle(read_event(json.dumps(profile).encode(), CUSTOMER_ID, SCHEMAS, run.now, endpoint))
    for event in story.events:
        at = shop.time_of(event).astimezone(UTC)
        run.advance_to(at)
        name = event.values.get("message", "")
        mails = [mail for _, mail in sent if name in ("", f"{mail.flow}/{mail.message}")]
        if event.kind in EMAIL_KINDS and not mails:
            continue
        if "price" in event.values:
            shop.set_price(event.values["sku"], event.values["price"])
        for endpoint, values in shop.records(event, mails[-1].send_id if mails else None):
            run.handle(read_event(json.dumps(values).encode(), CUSTOMER_ID, SCHEMAS, at, endpoint))
    run.advance_to((begins + timedelta(days=DAYS)).astimezone(UTC))
    return [mail.send_id for at, mail in sent if at >= begins]


@given(st.lists(events, min_size=1, max_size=12), st.booleans())
@settings(max_examples=examples(150), deadline=None)
def test_stories_of_random_events(happens: list[dict[str, Any]], has_consent: bool) -> None:
    """A story is read or has problems with a line; played, its emails are those of the core, in order, each with a reason."""
    first = {"day": -21, "order": {"lines": {"TEA": 1}}}
    customer = {"name": "Ada Holm", "country": "DK", "consent": {"marketing": has_consent}}
    whole = {"title": "A", "about": "B", "customer": customer, "events": [first, *happens]}
    story = parse_story(json.dumps(whole), Path("ada.yaml"), PRODUCTS, lambda record: "")
    assert isinstance(story, Story), story
    played = play(RULESET, story, SCHEMAS, lambda command: Shown(command.message), days=DAYS)
    assert [command.send_id for command in played.emails.values()] == sent_by_core(story)
    mails = [entry for entry in played.entries if entry.kind == "email"]
    assert [entry.number for entry in mails] == list(played.emails)
    assert all(entry.because and entry.flows and entry.message for entry in mails)
    times = [entry.at for entry in played.entries if entry.kind != "waiting"]
    assert times == sorted(times)
    assert max(map(len, format_played(played))) <= 80


@given(st.dates(date(2003, 1, 1), date(2097, 12, 31)))
@settings(max_examples=examples(20), deadline=None)
def test_stories_on_any_day(day: date) -> None:
    """A story can start on any day, also one on which the clock changes."""
    story = read_stories(ROOT, SCHEMAS).stories["ada"]
    played = play(RULESET, story, SCHEMAS, lambda command: Shown(command.message), first_day=day, days=14)
    assert len(played.emails) == 7
