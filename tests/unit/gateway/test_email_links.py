"""The links of the shipped emails lead somewhere: each one is followed, in every language, through a real application of the gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from msgspec import Struct
from msgspec.structs import replace

from streams.gateway.pages.base.site import LANGUAGES
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import Renderer
from streams.mail.tokens import LinkKeys
from streams.tools.local.inbox.mail import ReceivedEmail
from streams.tools.local.recipients.links import EmailLinks, addresses_in, links_of, use_of
from streams.tools.local.recipients.pages import read_page
from tests.harness.gateway_fakes import NOW
from tests.harness.pages import ANNA, Pages
from tests.harness.shipped_emails import (
    BASE_URL,
    ShippedEmail,
    all_received,
    received,
    shipped_emails,
    templates_in_all_languages,
)

#: The hosts of the examples: the shop's, and a carrier's.
SHOP_HOSTS = {"shop.example", "track.example"}
#: Where the pages lead besides the shop: the sites for reviews.
PAGE_HOSTS = SHOP_HOSTS | {"www.trustpilot.com", "dk.trustpilot.com"}
_ADDRESS = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+")
_MAILTO = re.compile(r"mailto:[^@\s]+@[a-z0-9.-]+\.[a-z]+(\?subject=[^\s&]+)?\Z")
#: An email that the customer writes to a friend, with a link in it.
_TO_A_FRIEND = re.compile(r"mailto:\?subject=[^\s&]+&body=([^\s&]+)\Z")


class Links(Struct, frozen=True):
    """The links of a shipped message in one language.

    Attributes:
        case: the message.
        addresses: all its addresses, each once.
        of_gateway: those that lead to the gateway.
    """

    case: ShippedEmail
    addresses: tuple[str, ...]
    of_gateway: EmailLinks


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """The renderer of the shipped templates in all languages."""
    return Renderer(templates_in_all_languages(tmp_path_factory.mktemp("links")), EmailBrand(name="Butik Ø"))


@pytest.fixture(scope="module")
def emails(renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> list[Links]:
    """The links of all messages in all languages, each with a customer of its own."""
    keys = Pages(tmp_path_factory.mktemp("keys"), mail_base_url=BASE_URL).keys
    return [
        Links(case, tuple(dict.fromkeys(addresses_of(mail))), links_of(mail, BASE_URL))
        for case, mail in all_received(renderer, keys, NOW)
    ]


def addresses_of(mail: ReceivedEmail) -> Iterator[str]:
    """Yield all addresses in an email: of links and pictures, in the text part, and in the header for unsubscriptions."""
    yield from addresses_in(mail.html or "")
    yield from _ADDRESS.findall(mail.text or "")
    yield from _ADDRESS.findall(mail.raw_headers.get("list-unsubscribe", "").replace("\r\n", ""))


class Follower:
    """Follows addresses, each once.

    Attributes:
        uses: the uses of the links that were followed.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._seen: set[str] = set()
        self.uses: set[str] = set()

    async def follow(self, address: str, hosts: set[str], language: str, is_page: bool = False) -> None:
        """Load an address of the gateway, and all that its page leads to; check the form of any other address."""
        if address in self._seen:
            return
        self._seen.add(address)
        parts = urlsplit(address)
        if parts.scheme == "mailto":
            letter = _TO_A_FRIEND.match(address)
            if letter is not None:
                (link,) = _ADDRESS.findall(unquote(letter[1]))
                await self.follow(link, hosts, language, is_page)
            else:
                assert _MAILTO.match(address), address
        elif not address.startswith(f"{BASE_URL}/"):
            assert (parts.scheme, parts.hostname in hosts) == ("https", True), address
        else:
            self.uses.add(use_of(address, BASE_URL))
            await self._load(address, language, is_page)

    async def _load(self, address: str, language: str, is_page: bool) -> None:
        answer = await self._client.get(address.removeprefix(BASE_URL), allow_redirects=False)
        async with answer:
            if answer.status == 302:
                target = urlsplit(answer.headers["Location"])
                assert (use_of(address, BASE_URL), target.scheme, target.hostname in SHOP_HOSTS) == ("c", "https", True)
                return
            assert answer.status == 200, f"{answer.status} {address}"
            if answer.content_type != "text/html":
                return
            html = await answer.text()
        if not is_page:
            assert read_page(address, html).language == language
            for other in [*addresses_in(html), *re.findall(r'<link rel="stylesheet" href="([^"]+)"', html)]:
                if not other.startswith("#"):
                    await self.follow(urljoin(address, other), PAGE_HOSTS, language, is_page=True)


def known(pages: Pages, case: ShippedEmail) -> None:
    """Let the gateway know the recipient of an email, who reads its language."""
    customer_id = f"c-{case.name}"
    pages.people[customer_id] = replace(ANNA, customer_id=customer_id, locale=case.language)


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
async def test_no_link_is_dead(emails: list[Links], is_known: bool, tmp_path: Path) -> None:
    """Every address of every shipped email in every language leads to a page, a picture or the shop.

    For customers whom the gateway does not know a page depends on its use alone: each use is followed once in each language.
    """
    pages = Pages(tmp_path, mail_base_url=BASE_URL)
    followed: set[tuple[str, str]] = set()
    async with pages.client() as client:
        follower = Follower(client)
        for email in emails:
            language = email.case.language
            uses = {(use, language) for use in email.of_gateway.pages}
            if is_known:
                known(pages, email.case)
            elif uses <= followed:
                continue
            followed |= uses
            for address in email.addresses:
                await follower.follow(address, SHOP_HOSTS, language if is_known else "da")  # of the shop
    assert follower.uses >= set("ocupsrbka")
    assert {record.topic for record in pages.publisher.records} == {"email-engagement"}
    assert {record["kind"] for record in pages.sent()} == {"opened", "clicked"}


def test_all_languages_are_followed() -> None:
    """The languages of the pages are those of the copies, and each message has at least the languages that are sent."""
    assert {case.language for case in shipped_emails()} == set(LANGUAGES)
    languages: dict[tuple[str, str], set[str]] = {}
    for case in shipped_emails():
        languages.setdefault((case.flow, case.message), set()).add(case.language)
    assert all({"da", "en"} <= each for each in languages.values())


async def test_one_click(emails: list[Links], tmp_path: Path) -> None:
    """A mail program can unsubscribe with the header of each email that has it, and these are the emails with an opt-out."""
    pages = Pages(tmp_path, mail_base_url=BASE_URL)
    count = 0
    async with pages.client() as client:
        for email in emails:
            links = email.of_gateway
            assert ("u" in links.pages) == bool(links.one_click), email.case.name
            if links.one_click:
                count += 1
                body = {"List-Unsubscribe": "One-Click"}
                answer = await client.post(links.one_click.removeprefix(BASE_URL), data=body, allow_redirects=False)
                assert answer.status == 200, email.case.name
    assert [record["kind"] for record in pages.sent()] == ["unsubscribed"] * count
    assert count > 10


async def test_a_dead_link_is_found(renderer: Renderer, tmp_path: Path) -> None:
    """The test above fails for a link that the gateway does not know, and for one that leads to another host."""
    pages = Pages(tmp_path, mail_base_url=BASE_URL)
    mail = received(
        renderer, LinkKeys("another-shop", b"another secret of the tests"), shipped_emails()[-1], NOW, "c-1"
    )
    async with pages.client() as client:
        follower = Follower(client)
        for address in (
            *links_of(mail, BASE_URL).all(),
            "https://elsewhere.example/",
            "http://shop.example/",
            "mailto:you",
            "mailto:?subject=Tea&body=https%3A//elsewhere.example/tea",
        ):
            with pytest.raises(AssertionError):
                await follower.follow(address, SHOP_HOSTS, "en")
