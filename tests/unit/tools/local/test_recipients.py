"""The recipients of the demo: they do over HTTP what their emails ask for, and each action is found on the topics exactly once."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import smtplib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import Renderer
from streams.tools.local.gateway_summary import gateway_lines, problems_of, summarize_gateway
from streams.tools.local.inbox.server import Inbox
from streams.tools.local.recipients import browser, visits
from streams.tools.local.recipients.actions import Actions
from streams.tools.local.recipients.browser import Browser, Refused
from streams.tools.local.recipients.choices import Act, Step, is_read, is_scanned, pause_s, steps_of
from streams.tools.local.recipients.comparison import EFFECTS, USES
from streams.tools.local.recipients.links import EmailLinks, links_of, use_of
from streams.tools.local.recipients.readers import Readers
from streams.tools.local.recipients.visits import Reader, visit
from streams.tools.local.shop.reactions import OPEN_RATE
from tests.harness.commands import TEMPLATES
from tests.harness.gateway_fakes import read_back, with_other_id
from tests.harness.pages import ANNA, Pages
from tests.harness.shipped_emails import BASE_URL, ShippedEmail, received
from tests.harness.stack import wait_until

#: The acts of recipients, and an email in which each is possible.
CASES: list[tuple[Act, str, str]] = [
    ("pixel", "review", "ask"),
    ("scan", "goes-well-with", "products"),
    ("click", "goes-well-with", "products"),
    ("answer", "nps", "ask"),
    ("review", "review", "ask"),
    ("enter", "photo-contest", "invite"),
    ("reorder", "goes-well-with", "products"),
    ("leave", "thank-you", "thanks"),
    ("leave at once", "thank-you", "thanks"),
    ("prefer", "thank-you", "thanks"),
    ("confirm", "confirm-request", "export"),
]
#: Seeds of the choices, so that each variant of an act happens.
SEEDS = range(12)


class Shop:
    """A gateway on a port, and emails whose links lead to it."""

    def __init__(self, folder: Path) -> None:
        self.pages = Pages(folder)
        self.shift = timedelta(0)  # of the gateway's clock
        self.pages.context = dataclasses.replace(self.pages.context, now=lambda: datetime.now(UTC) + self.shift)
        self.renderer = Renderer(TEMPLATES, EmailBrand(name="Butik Ø"))
        self.actions = Actions()
        self.base_url = ""
        self.session: Any = None

    def links(self, flow: str, message: str, number: int = 0) -> EmailLinks:
        """Return the links of an email to a new customer, with the address of the server."""
        case = ShippedEmail(flow, message, "da")
        customer = f"c-{case.name}-{number}"
        self.pages.people[customer] = replace(ANNA, customer_id=customer)
        found = links_of(received(self.renderer, self.pages.keys, case, datetime.now(UTC), customer), BASE_URL)
        pages = {use: [self._own(each) for each in addresses] for use, addresses in found.pages.items()}
        return EmailLinks(pages, self._own(found.one_click) if found.one_click else "")

    def _own(self, address: str) -> str:
        return address.replace(BASE_URL, self.base_url)

    def reader(self, links: EmailLinks, seed: int) -> Reader:
        """Return a reader who does not pause."""
        return Reader(Browser(self.session, "anna", self.actions), links, random.Random(seed), 0.0, "human")

    def summary(self) -> dict[str, Any]:
        """Compare."""
        records = read_back(self.pages.publisher.records)
        return summarize_gateway(records, self.pages.codec, self.actions, self.pages.keys, [])


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A gateway on a port, whose clock is that of this machine."""
    made = Shop(tmp_path)
    async with made.pages.client() as client, ClientSession() as session:
        made.base_url, made.session = str(client.make_url("")).rstrip("/"), session
        yield made


async def act_all(shop: Shop) -> None:
    """Let recipients do everything, in many variants."""
    for act, flow, message in CASES:
        for seed in SEEDS:
            links = shop.links(flow, message, seed)
            await visit(act, shop.reader(links, seed))


async def test_everything_is_on_the_topics_once(shop: Shop) -> None:
    """All that recipients can do is accepted, also if buttons are pressed twice, and is on the topics once; scanners change nothing."""
    assert {act for act, _, _ in CASES} == set(get_args(Act))
    await act_all(shop)
    summary = shop.summary()
    assert set(summary["actions"]) == set(EFFECTS) == set(USES)
    assert (summary["lost"], summary["duplicates"], summary["others"]) == (0, 0, 0)
    assert summary["repeats"] > 0
    assert summary["scanned_links"] == 7 * len(SEEDS)
    assert problems_of(summary) == []


async def test_lost_and_doubled_records_are_found(shop: Shop) -> None:
    """A record that is missing is lost, and one that is there again under another id is a duplicate, whatever the action was."""
    await act_all(shop)
    published = shop.pages.publisher.records
    kinds = Counter(action.kind for action in shop.actions.accepted)
    shop.pages.publisher.records = []
    lost = shop.summary()
    assert lost["duplicates"] == 0
    assert lost["lost_by_kind"].keys() == kinds.keys()
    assert len(problems_of(lost)) == len(kinds)

    shop.pages.publisher.records = [*published, *map(with_other_id, published)]
    doubled = shop.summary()
    assert doubled["lost"] == 0
    assert doubled["duplicates_by_kind"].keys() == kinds.keys()


async def test_links_that_others_open_are_no_error(shop: Shop) -> None:
    """A link that somebody opens in the inbox belongs to no action of a recipient, and is neither lost nor a duplicate."""
    links = shop.links("review", "ask")
    await visit("pixel", shop.reader(links, 1))
    shop.shift = timedelta(minutes=2)
    async with shop.session.get(links.pages["o"][0], headers={"User-Agent": browser.AGENTS["human"]}) as answer:
        assert answer.status == 200
    summary = shop.summary()
    assert (summary["lost"], summary["duplicates"], summary["others"]) == (0, 0, 1)
    assert gateway_lines(summary, 1)[-1] == (
        "         lost=0 duplicates=0 (compared with what the gateway accepted); 1 by others, such as you"
    )


async def test_dead_links_are_refused(shop: Shop) -> None:
    """A link that the gateway does not know is an error that does not show its token."""
    links = EmailLinks({"r": [f"{shop.base_url}/r/unknown.token"]})
    with pytest.raises(Refused, match=r"404 for GET /r/\Z"):
        await visit("review", shop.reader(links, 1))
    assert not shop.actions.accepted


async def test_readers_of_an_inbox(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The readers act on the emails that arrive in an inbox, and stop."""
    monkeypatch.setattr("streams.tools.local.recipients.readers.is_read", lambda *_: True)
    shop.links("nps", "ask")
    mail = received(
        shop.renderer, shop.pages.keys, ShippedEmail("nps", "ask", "da"), datetime.now(UTC), "c-nps.ask.da-0"
    )
    raw = (mail.raw or b"").replace(BASE_URL.encode(), shop.base_url.encode())
    with Inbox(web_port=None) as inbox:
        readers = Readers(inbox, shop.base_url, 7, 5.0, 0.001)
        readers.start()

        def deliver() -> None:
            with smtplib.SMTP(inbox.host, inbox.smtp_port, timeout=60) as client:
                client.sendmail("shop@shop.example", ["anna@post.example"], raw)

        await asyncio.to_thread(deliver)

        def has_acted() -> bool:
            return bool(readers.actions.accepted) and not readers.is_busy(60.0)

        await asyncio.to_thread(wait_until, has_acted, "the readers")
        await asyncio.to_thread(readers.stop)
    assert "opened" in readers.actions.by_kind()
    assert not readers.actions.refused
    assert not readers.is_busy(60.0)


def test_the_seed_determines_the_choices() -> None:
    """The same email is read in the same way in each run, by as many people as usual, and never within the first seconds."""
    links = EmailLinks({use: [f"https://links.example/{use}/1"] for use in "ocuprsbka"}, "https://links.example/u/1")
    ids = [f"s{number}" for number in range(4_000)]
    assert [steps_of(1, id, links) for id in ids] == [steps_of(1, id, links) for id in ids]
    assert [steps_of(2, id, links) for id in ids] != [steps_of(1, id, links) for id in ids]
    assert sum(is_read(1, id, 1.0) for id in ids) / len(ids) == pytest.approx(OPEN_RATE, abs=0.03)
    assert sum(is_read(1, id, 0.1) for id in ids) / len(ids) == pytest.approx(OPEN_RATE / 10, abs=0.02)
    assert 0 < sum(is_scanned(1, id) for id in ids) < len(ids) / 10
    some = [links, *(EmailLinks({use: [address], "o": ["o"]}, "u") for use, [address] in links.pages.items())]
    steps = [step for each in some for id in ids for step in steps_of(1, id, each)]
    assert {step.act for step in steps} == set(get_args(Act)) - {"scan"}
    assert min(step.after_days for step in steps) >= 15 / 86_400
    assert pause_s(random.Random(1), 86_400) <= 20


def test_emails_without_links() -> None:
    """Readers of an email without links of the gateway do nothing."""
    assert [steps_of(1, f"s{number}", EmailLinks({})) for number in range(100)] == [[]] * 100
    assert steps_of(1, "s1", EmailLinks({"o": ["https://links.example/o/1"]}))[0].act == "pixel"
    assert Step(1.0, "pixel").act == "pixel"


def test_links_of_the_gateway() -> None:
    """An address is a link of the gateway if it starts with its address and the use of a link."""
    assert use_of("https://links.example/r/token?stars=5", "https://links.example") == "r"
    for other in (
        "https://shop.example/r/token",
        "https://links.example/x/token",
        "https://links.example/r/",
        "mailto:a@b.example",
    ):
        assert use_of(other, "https://links.example") == ""


def test_each_act_has_a_function() -> None:
    """Each thing that a recipient may do can be done."""
    assert visits._ACTS.keys() == set(get_args(Act))
