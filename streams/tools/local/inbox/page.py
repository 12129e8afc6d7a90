"""The inbox's web page: a list with a search, and a view of one email: its HTML in a sandbox, its text, its source and its headers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from streams.tools.local.inbox.mail import ReceivedFile
from streams.tools.local.inbox.search import FoundEmail, find
from streams.tools.preview.page_parts import add_headers, asset, environment, html_page, query_of
from streams.tools.preview.shown_html import Scheme, with_scheme, without_requests

#: Emails per page of the list.
PAGE_SIZE = 50
#: Newest emails whose flows and languages the search offers.
MOST_OFFERED = 2_000
#: Seconds between two looks for new emails, and after which a stream of events gets a comment.
LOOK_S, KEEP_ALIVE_S = 0.5, 15.0
#: The page runs its own script only, and loads nothing from other servers.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src 'self'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
#: An email may use its own styles and embedded images, and open links in a new tab. It runs no script and sends no request.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:{origin}; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
PARTS = {"html": "HTML", "text": "Text", "source": "Source", "headers": "Headers"}
_CHOICES = {
    "width": {"desk": "Desk", "phone": "Phone"},
    "scheme": {"light": "Light", "dark": "Dark"},
    "pictures": {"drawn": "Drawn", "load": "Loaded", "off": "Off"},
    "part": PARTS,
}
_ASSETS = Path(__file__).parent / "assets"
_ENVIRONMENT = environment(_ASSETS)


class ShownEmail(FoundEmail, Protocol):
    """The part of an email that the page shows."""

    number: int
    size: int
    received_at_ms: int

    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def raw(self) -> bytes | None: ...
    @property
    def html(self) -> str | None: ...
    @property
    def text(self) -> str | None: ...
    @property
    def purpose(self) -> str: ...
    @property
    def files(self) -> Sequence[ReceivedFile]: ...


class Mailbox(Protocol):
    """The part of an inbox that the page uses."""

    accepted: int
    refused: int
    #: Where pictures may be loaded from: scheme, host and port of the demo's gateway, or "".
    pictures_origin: str

    def mails(self, to: str | None = None) -> Sequence[ShownEmail]: ...
    def mail(self, number: int) -> ShownEmail | None: ...


class View(Struct, frozen=True, kw_only=True):
    """The choices of the reader: the search, and how an email is shown. The address of the page has it."""

    q: str = ""
    flow: str = ""
    language: str = ""
    page: int = 1
    width: str = "desk"
    scheme: str = "light"
    pictures: str = "drawn"
    part: str = "html"

    @classmethod
    def of(cls, request: web.Request) -> View:
        """Return the view in the query of a request. Invalid values count as missing."""
        query = request.query
        words = {name: query.get(name, "").strip() for name in ("q", "flow", "language")}
        chosen = {name: query[name] for name, known in _CHOICES.items() if query.get(name) in known}
        number = query.get("page", "1")
        return cls(page=max(1, int(number)) if number.isdecimal() and len(number) < 10 else 1, **words, **chosen)

    def query(self, **changes: Any) -> str:
        """Return the query of an address, with its question mark; "" for the view at the start."""
        return query_of(replace(self, **changes))


def _utc_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


_ENVIRONMENT.filters["utc_time"] = _utc_time


def make_page(mailbox: Mailbox) -> web.Application:
    """Return the web application of `mailbox`: `/` (list), `/mail/N`, its parts `html`, `raw` and `file/N`, `/counts.json`, `/events`."""
    app = web.Application(middlewares=[_guard])
    page = _Page(mailbox)
    app.router.add_get("/", page.show_list)
    app.router.add_get("/counts.json", page.show_counts)
    app.router.add_get("/events", page.show_events)
    app.router.add_get(r"/assets/{name:inbox\.(?:css|js)}", page.show_asset)
    app.router.add_get(r"/mail/{number:\d{1,12}}", page.show_mail)
    app.router.add_get(r"/mail/{number:\d{1,12}}/html", page.show_html)
    app.router.add_get(r"/mail/{number:\d{1,12}}/raw", page.show_raw)
    app.router.add_get(r"/mail/{number:\d{1,12}}/file/{file:\d{1,3}}", page.send_file)
    return app


class _Page:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def show_list(self, request: web.Request) -> web.Response:
        view = View.of(request)
        return _html(await asyncio.to_thread(self._render, view, None))

    async def show_mail(self, request: web.Request) -> web.Response:
        mail, view = self._find(request), View.of(request)
        return _html(await asyncio.to_thread(self._render, view, mail))

    async def show_html(self, request: web.Request) -> web.Response:
        html, view = self._find(request).html, View.of(request)
        if html is None:
            raise web.HTTPNotFound(text="no HTML part")
        origin = self._mailbox.pictures_origin if view.pictures == "load" else ""
        html = without_requests(html, has_pictures=view.pictures != "off", origin=origin)
        scheme: Scheme = "dark" if view.scheme == "dark" else "light"
        policy = MAIL_POLICY.format(origin=f" {origin}" if origin else "")
        text = with_scheme(html, scheme)
        return html_page(text, policy)

    async def send_file(self, request: web.Request) -> web.Response:
        """Send a file of an email. The browser saves it, and shows none of it."""
        files, number = self._find(request).files, int(request.match_info["file"])
        if not 1 <= number <= len(files):
            raise web.HTTPNotFound(text="unknown file")
        file = files[number - 1]
        headers = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(file.name, safe='')}"}
        return web.Response(body=file.data, content_type="application/octet-stream", headers=headers)

    async def show_raw(self, request: web.Request) -> web.Response:
        raw = self._find(request).raw
        if raw is None:
            raise web.HTTPNotFound(text="the body was dropped to save memory")
        return web.Response(text=raw.decode("utf-8", "replace"), content_type="text/plain")

    async def show_counts(self, request: web.Request) -> web.Response:
        return web.json_response({"accepted": self._mailbox.accepted, "refused": self._mailbox.refused})

    async def show_asset(self, request: web.Request) -> web.Response:
        return asset(_ASSETS, request.match_info["name"])

    async def show_events(self, request: web.Request) -> web.StreamResponse:
        """Send the number of accepted emails whenever it has changed (server-sent events)."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        seen, looks = -1, 0
        with contextlib.suppress(ConnectionError):  # the page was closed
            while True:
                if self._mailbox.accepted != seen:
                    seen, looks = self._mailbox.accepted, 0
                    await response.write(f"data: {seen}\n\n".encode())
                elif looks * LOOK_S >= KEEP_ALIVE_S:
                    looks = 0
                    await response.write(b":\n\n")
                looks += 1
                await asyncio.sleep(LOOK_S)
        return response

    def _find(self, request: web.Request) -> ShownEmail:
        mail = self._mailbox.mail(int(request.match_info["number"]))
        if mail is None:
            raise web.HTTPNotFound(text="unknown email")
        return mail

    def _render(self, view: View, mail: ShownEmail | None) -> str:
        """Return the page with the list, and with an email if there is one."""
        mails = self._mailbox.mails()
        found = find(mails, view.q, view.flow, view.language)
        pages = max(1, -(-len(found) // PAGE_SIZE))
        view = replace(view, page=min(view.page, pages))
        newest = mails[-MOST_OFFERED:]
        values: dict[str, Any] = {
            "view": view,
            "mails": found[(view.page - 1) * PAGE_SIZE : view.page * PAGE_SIZE],
            "found": len(found),
            "pages": pages,
            "accepted": self._mailbox.accepted,
            "refused": self._mailbox.refused,
            "flows": sorted({each.flow for each in newest} - {""}),
            "languages": sorted({each.language for each in newest} - {""}),
            "mail": mail,
            "title": "Inbox",
        }
        if mail is not None:
            values |= self._shown(view, mail)
        return _ENVIRONMENT.get_template("mail.html.j2" if mail is not None else "list.html.j2").render(values)

    def _shown(self, view: View, mail: ShownEmail) -> dict[str, Any]:
        """Return what the view of an email needs besides the list."""
        html, text, raw = mail.html, mail.text, mail.raw
        has = {"html": html is not None, "text": text is not None, "source": raw is not None, "headers": True}
        part = view.part if has[view.part] else next(name for name, is_there in has.items() if is_there)
        known = {**_CHOICES, "part": {name: label for name, label in PARTS.items() if has[name]}}
        if not self._mailbox.pictures_origin:
            known["pictures"] = {name: label for name, label in _CHOICES["pictures"].items() if name != "load"}
        current = {"width": view.width, "scheme": view.scheme, "pictures": view.pictures, "part": part}
        return {
            "title": mail.subject or "Email",
            "part": part,
            "text": text if part == "text" else None,
            "source": raw.decode("utf-8", "replace") if part == "source" and raw is not None else None,
            "origin": self._mailbox.pictures_origin,
            "choices": [
                (name, [(label, f"/mail/{mail.number}{view.query(**{name: value})}", value == current[name]) for value, label in known[name].items()])
                for name in (("part", "width", "scheme", "pictures") if part == "html" else ("part",))
            ],
        }  # fmt: skip


def _html(text: str) -> web.Response:
    return html_page(text, PAGE_POLICY)


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Add headers to every answer: no MIME sniffing, no referrer, no caching."""
    return add_headers(await handler(request), "no-referrer")
