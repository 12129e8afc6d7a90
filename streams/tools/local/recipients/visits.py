"""Visits to the links of an email: a recipient loads the page, fills in its form and submits it."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct
from PIL import Image

from streams.tools.local.recipients.browser import Browser
from streams.tools.local.recipients.choices import Act, pause_s
from streams.tools.local.recipients.links import EmailLinks
from streams.tools.local.recipients.pages import Page

#: Shares of those who answer a survey and say why, and of those who send a photo with a review.
WHY_SHARE, PHOTO_SHARE = 0.4, 0.3
#: Share of the forms whose button is pressed twice. The second request must have no effect.
TWICE_SHARE = 0.1
#: Language of a page -> what somebody writes about an order.
OPINIONS = {
    "en": ("Exactly as shown, and well packed.", "Delivery took a little long, but I am happy with it."),
    "da": ("Præcis som vist, og pakket godt ind.", "Det tog lidt tid at få den, men jeg er glad for den."),
    "sv": ("Precis som på bilden och väl inpackad.", "Leveransen tog lite tid, men jag är nöjd."),
    "nb": ("Akkurat som vist, og godt pakket.", "Leveringen tok litt tid, men jeg er fornøyd."),
    "nl": ("Precies zoals getoond en goed verpakt.", "De levering duurde even, maar ik ben er blij mee."),
}
_PHOTO_SIZE = (320, 240)


class Reader(Struct, frozen=True):
    """The reader of an email.

    Attributes:
        browser: their browser.
        links: of the email.
        rng: decides what they choose and write.
        day_s: the seconds of a day.
        agent: the class of the client that loads the pixel.
    """

    browser: Browser
    links: EmailLinks
    rng: random.Random
    day_s: float
    agent: str

    def link(self, use: str) -> str:
        """Return one of the email's links of a use."""
        return self.rng.choice(self.links.pages[use])

    async def open(self, use: str) -> Page:
        """Load the page of a link, and read it."""
        page = await self.browser.load(self.link(use))
        await asyncio.sleep(pause_s(self.rng, self.day_s))
        return page

    async def submit(self, kind: str, page: Page, button: str, changes: Mapping[str, str], photo: bytes = b"") -> Page:
        """Fill in the form with a button, and press it, some people twice."""
        form = page.form(button)
        is_twice = self.rng.random() < TWICE_SHARE
        return await self.browser.submit(kind, page, form, form.filled(button, changes), photo, is_twice)


async def visit(act: Act, reader: Reader) -> None:
    """Do what the reader of an email does with it.

    Raises:
        Refused: the gateway gave an answer that no customer should get.
        UnexpectedPage: a page does not have what its link promises.
        ClientError, TimeoutError: the gateway does not answer.
    """
    await _ACTS[act](reader)


async def _pixel(reader: Reader) -> None:
    await reader.browser.open_pixel(reader.link("o"), reader.agent)


async def _scan(reader: Reader) -> None:
    """Follow all links, as the scanner of a mail server does: the clicks are a machine's, and pages change nothing."""
    for address in reader.links.all():
        if address in reader.links.pages.get("o", ()):
            await reader.browser.open_pixel(address, "scanner")
        elif address in reader.links.pages.get("c", ()):
            await reader.browser.click(address, "scanner")
        else:
            await reader.browser.load(address, "scanner")
        reader.browser.actions.scanned += 1


async def _click(reader: Reader) -> None:
    await reader.browser.click(reader.link("c"))


async def _answer(reader: Reader) -> None:
    thanks = await reader.submit("answered", await reader.open("s"), "answer", {})
    if reader.rng.random() < WHY_SHARE:
        await asyncio.sleep(pause_s(reader.rng, reader.day_s))
        await reader.submit("explained", thanks, "why", {"why": _opinion(reader, thanks)})


async def _review(reader: Reader) -> None:
    page = await reader.open("r")
    changes = {"text": _opinion(reader, page)}
    if not any(name == "stars" for name, _ in page.form("review").fields):
        changes["stars"] = reader.rng.choice("2345")  # the link of the button chooses none
    photo = _photo(reader.rng) if reader.rng.random() < PHOTO_SHARE else b""
    await reader.submit("reviewed", page, "review", changes, photo)


async def _enter(reader: Reader) -> None:
    page = await reader.open("k")
    changes = {"publish": "yes"} if reader.rng.random() < 0.7 else {}
    await reader.submit("entered a contest", page, "enter", changes, _photo(reader.rng))


async def _reorder(reader: Reader) -> None:
    page = await reader.open("b")
    if page.forms:  # the page of a customer whose order is not known only leads to the shop
        await reader.submit("reordered", page, "order", {})


async def _leave(reader: Reader) -> None:
    await reader.submit("unsubscribed", await reader.open("u"), "leave", {})


async def _leave_at_once(reader: Reader) -> None:
    await reader.browser.unsubscribe_at_once(reader.links.one_click)


async def _prefer(reader: Reader) -> None:
    page = await reader.open("p")
    kind = reader.rng.choice(("fewer", "birthday", "export", "address"))
    if kind == "fewer":
        await reader.submit("chose fewer emails", page, "save", {"frequency": "fewer"})
    elif kind == "birthday":
        known = int(dict(page.form("save").fields).get("birthday-month") or 0)
        month = known % 12 + 1  # another one than the page shows
        changes = {"birthday-day": str(reader.rng.randint(1, 28)), "birthday-month": str(month)}
        await reader.submit("added a birthday", page, "save", changes)
    elif kind == "address":
        await reader.submit("moved to another address", page, "address", {"email": _new_address(reader.rng)})
    else:
        await reader.submit("asked for an export", page, "export", {})


async def _confirm(reader: Reader) -> None:
    await reader.submit("confirmed a request", await reader.open("a"), "confirm", {})


_ACTS: Mapping[Act, Callable[[Reader], Awaitable[None]]] = {
    "pixel": _pixel,
    "scan": _scan,
    "click": _click,
    "answer": _answer,
    "review": _review,
    "enter": _enter,
    "reorder": _reorder,
    "leave": _leave,
    "leave at once": _leave_at_once,
    "prefer": _prefer,
    "confirm": _confirm,
}


def _new_address(rng: random.Random) -> str:
    """Return an address that reaches nobody (RFC 2606)."""
    return f"new.{rng.randrange(10**9)}@post.example"


def _opinion(reader: Reader, page: Page) -> str:
    return reader.rng.choice(OPINIONS.get(page.language, OPINIONS["en"]))


def _photo(rng: random.Random) -> bytes:
    """Return a small JPEG, another one each time."""
    out = io.BytesIO()
    color = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
    Image.new("RGB", _PHOTO_SIZE, color).save(out, "JPEG")
    return out.getvalue()
