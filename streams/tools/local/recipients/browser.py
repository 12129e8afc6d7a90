"""The browser of a recipient: loads pages, submits their forms, and remembers what the gateway accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from hashlib import blake2b
from http import HTTPStatus
from ipaddress import IPv6Address
from urllib.parse import urljoin, urlsplit

from aiohttp import ClientResponse, ClientSession, FormData

from streams.tools.local.recipients.actions import Action, Actions
from streams.tools.local.recipients.links import token_of
from streams.tools.local.recipients.pages import Fields, Form, Page, read_page

#: User agents, by the class that the gateway gives them.
AGENTS = {
    "human": "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "privacy_proxy": "Mozilla/5.0",
    "scanner": "Mozilla/5.0 (compatible; ExampleMailScanner/2.4)",
}
#: The first address of the clients: a prefix for documentation (RFC 3849). Each recipient has a network of their own.
_NETWORK = int(IPv6Address("2001:db8::"))


class Refused(Exception):
    """An answer that a customer should not get. The message has its status and the kind of link."""


class Browser:
    """The browser, or the mail program, of one recipient.

    Args:
        session: sends the requests.
        person: who it is; two people have different network addresses.
        actions: receives what the gateway accepts.

    Attributes:
        actions: as above.
    """

    def __init__(self, session: ClientSession, person: str, actions: Actions) -> None:
        self._session = session
        self.actions = actions
        network = int.from_bytes(blake2b(person.encode(), digest_size=4).digest())
        self._client = str(IPv6Address(_NETWORK + (network << 64) + 1))

    async def open_pixel(self, address: str, agent: str) -> None:
        """Load the picture of an email.

        Raises:
            Refused: the gateway does not answer with a picture.
            ClientError, TimeoutError: it does not answer.
        """
        began = datetime.now(UTC)
        async with self._get(address, agent) as answer:
            content = await answer.read()
            if answer.status != HTTPStatus.OK or not content.startswith(b"GIF8"):
                raise _refused(answer)
        self._accepted("opened", address, began, agent=agent)

    async def click(self, address: str, agent: str = "human") -> str:
        """Follow a tracked link; return the address that it leads to. Errors as `open_pixel`."""
        began = datetime.now(UTC)
        async with self._get(address, agent) as answer:
            target = answer.headers.get("Location", "")
            if answer.status != HTTPStatus.FOUND or urlsplit(target).scheme not in ("http", "https"):
                raise _refused(answer)
        self._accepted("clicked", address, began, agent=agent)
        return target

    async def load(self, address: str, agent: str = "human") -> Page:
        """Load a page. Errors as `open_pixel`."""
        async with self._get(address, agent) as answer:
            if answer.status != HTTPStatus.OK or answer.content_type != "text/html":
                raise _refused(answer)
            return read_page(address, await answer.text())

    async def submit(
        self, kind: str, page: Page, form: Form, fields: Fields, photo: bytes = b"", is_twice: bool = False
    ) -> Page:
        """Submit a form, and load the page that follows.

        Args:
            kind: the kind of action.
            page: where the form is.
            form: the form.
            fields: what it sends.
            photo: the file in its field for files, if any.
            is_twice: whether the button is pressed twice, before the first answer.

        Raises:
            Refused: the form was not accepted.
            ClientError, TimeoutError: as for `open_pixel`.
        """
        began = datetime.now(UTC)
        times = 2 if is_twice else 1
        locations = await asyncio.gather(*(self._post(form, fields, photo) for _ in range(times)))
        self._accepted(kind, page.address, began, dict(fields) | ({"photo": "yes"} if photo else {}))
        return await self.load(urljoin(form.action, locations[0]))

    async def unsubscribe_at_once(self, address: str) -> None:
        """Unsubscribe as a mail program does, without a page (RFC 8058). Errors as `submit`."""
        began = datetime.now(UTC)
        body = {"List-Unsubscribe": "One-Click"}
        async with self._session.post(address, data=body, headers=self._headers("human"), allow_redirects=False) as it:
            if it.status != HTTPStatus.OK:
                raise _refused(it)
        self._accepted("unsubscribed by one click", address, began)

    async def _post(self, form: Form, fields: Fields, photo: bytes) -> str:
        """Send a form, and return where its answer leads."""
        body: FormData | Fields = fields
        if form.is_multipart:
            body = FormData(default_to_multipart=True)
            for name, value in fields:
                body.add_field(name, value)
            for name in form.files:
                body.add_field(name, photo, filename="photo.jpg" if photo else "", content_type="image/jpeg")
        headers = {**self._headers("human"), "Origin": "null", "Sec-Fetch-Site": "same-origin"}
        async with self._session.post(form.action, data=body, headers=headers, allow_redirects=False) as answer:
            if answer.status != HTTPStatus.SEE_OTHER:
                raise _refused(answer)
            return answer.headers["Location"]

    def _get(self, address: str, agent: str) -> AbstractAsyncContextManager[ClientResponse]:
        return self._session.get(address, headers=self._headers(agent), allow_redirects=False)

    def _headers(self, agent: str) -> dict[str, str]:
        # The demo's gateway trusts this machine as a proxy, so that not all recipients share one limit of requests.
        return {"User-Agent": AGENTS[agent], "X-Forwarded-For": self._client}

    def _accepted(
        self, kind: str, address: str, began: datetime, fields: Mapping[str, str] | None = None, agent: str = "human"
    ) -> None:
        self.actions.accepted.append(Action(kind, token_of(address), began, datetime.now(UTC), fields or {}, agent))


def _refused(answer: ClientResponse) -> Refused:
    """Return the error. It has no token: it is printed."""
    return Refused(f"{answer.status} for {answer.method} /{answer.url.path.strip('/').partition('/')[0]}/")
