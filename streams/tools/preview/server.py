"""The server of the local page. It listens on this machine only, and its pages ask no other server."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import web

from streams.definitions.views.svg import as_svg
from streams.endpoints import is_loopback
from streams.tools.preview.choices import Choice, chosen
from streams.tools.preview.emails import EmailFailed, Message, Variant
from streams.tools.preview.page_parts import ASSETS, FRAME_POLICY, PAGE_POLICY, add_headers, asset, html_page
from streams.tools.preview.pages import Pages, failed_frame
from streams.tools.preview.sending import NotSent, send_email
from streams.tools.preview.state import PreviewState
from streams.tools.preview.story_server import StoryServer

#: Results of sending that pages may still show.
MOST_NOTICES = 100
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PreviewServer:
    """The handlers of the local page.

    Args:
        state: the emails and the problems.
        to: the address that the form "send me this" proposes, or "".
    """

    def __init__(self, state: PreviewState, to: str = "") -> None:
        self._state = state
        self._token = secrets.token_urlsafe(24)
        self._pages = Pages(state, self._token, to)
        self._notices: dict[str, dict[str, Any]] = {}
        #: Watches the folder while the application runs.
        self.watching: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        """Return the application. While it runs, it watches the folder."""
        app = web.Application(middlewares=[guard], client_max_size=64 * 1024)
        app.add_routes(
            [
                web.get("/", self._overview),
                web.get("/problems", self._problems),
                web.get("/message/{flow}/{message}", self._message),
                web.get("/email/{flow}/{message}", self._email),
                web.get("/document/{flow}/{message}", self._document),
                web.get(r"/flow/{flow:[^/]+?}.svg", self._picture),
                web.get("/flow/{flow}", self._flow),
                web.get("/events", self._events),
                web.get(r"/assets/{name:preview\.css|(?:preview|story)\.js}", self._asset),
                web.post("/send", self._send),
                *StoryServer(self._state, self._pages).routes(),
            ]
        )
        app.cleanup_ctx.append(self._watching)
        app.on_shutdown.append(self._close)
        return app

    async def _watching(self, app: web.Application) -> AsyncIterator[None]:
        self.watching = asyncio.create_task(self._state.watch())
        yield
        self.watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.watching

    async def _close(self, app: web.Application) -> None:
        await self._state.close()

    async def _overview(self, request: web.Request) -> web.Response:
        return _page(await asyncio.to_thread(self._pages.overview, Choice.of(request.query)))

    async def _problems(self, request: web.Request) -> web.Response:
        return _page(await asyncio.to_thread(self._pages.problems, Choice.of(request.query)))

    async def _message(self, request: web.Request) -> web.Response:
        message = self._found(request)
        notice = self._notices.get(request.query.get("notice", ""))
        return _page(await asyncio.to_thread(self._pages.message, message, Choice.of(request.query), notice))

    async def _flow(self, request: web.Request) -> web.Response:
        page = await asyncio.to_thread(self._pages.flow, request.match_info["flow"], Choice.of(request.query))
        if page is None:
            raise web.HTTPNotFound(text="unknown flow")
        return _page(page)

    async def _picture(self, request: web.Request) -> web.Response:
        flow = self._state.emails.flows.get(request.match_info["flow"])
        if flow is None:
            raise web.HTTPNotFound(text="unknown flow, or one with errors")
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        return web.Response(
            text=as_svg(flow), content_type="image/svg+xml", headers={"Content-Security-Policy": policy}
        )

    async def _email(self, request: web.Request) -> web.Response:
        message, choice = self._found(request), Choice.of(request.query)
        variant = _variant(message, choice)
        try:
            html = await asyncio.to_thread(self._pages.frame, variant, choice)
        except EmailFailed as error:
            html = failed_frame(str(error))
        return html_page(html, FRAME_POLICY)

    async def _document(self, request: web.Request) -> web.Response:
        """Send the document that an email carries. Without a policy that forbids it, the browser shows it."""
        variant = _variant(self._found(request), Choice.of(request.query))
        try:
            email = await asyncio.to_thread(self._state.emails.email, variant)
        except EmailFailed as error:
            raise web.HTTPNotFound(text=str(error)) from None
        file = email.attachment
        if file is None:
            raise web.HTTPNotFound(text="this email carries no document")
        headers = {"Content-Disposition": f"inline; filename*=utf-8''{quote(file.name, safe='')}"}
        return web.Response(body=file.data, content_type=file.media_type, headers=headers)

    async def _asset(self, request: web.Request) -> web.Response:
        return asset(ASSETS, request.match_info["name"])

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send an event for each change (server-sent events)."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the page was closed
            async for version in self._state.changes(request.query.get("version", "")):
                await response.write(b":\n\n" if version is None else f"data: {version}\n\n".encode())
        return response

    async def _send(self, request: web.Request) -> web.Response:
        form = await request.post()
        values = {name: value for name, value in form.items() if isinstance(value, str)}
        if not hmac.compare_digest(values.get("token", "").encode(), self._token.encode()):
            raise web.HTTPForbidden(text="load the page again, then send")
        message = self._state.emails.messages.get((values.get("flow", ""), values.get("message", "")))
        if message is None:
            raise web.HTTPNotFound(text="unknown message")
        choice = Choice(language=values.get("language", ""), example=values.get("example", ""))
        try:
            text = await send_email(
                self._state.settings, self._state.emails, _variant(message, choice), values.get("to", "")
            )
            notice = {"text": text, "is_sent": True}
        except NotSent as error:
            notice = {"text": f"Not sent: {error}", "is_sent": False}
        key = secrets.token_hex(8)
        self._notices[key] = notice
        if len(self._notices) > MOST_NOTICES:
            del self._notices[next(iter(self._notices))]
        query = choice.query
        address = f"/message/{message.flow}/{message.name}{query}{'&' if query else '?'}notice={key}"
        # A GET shows the result: loading the page again sends nothing.
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})

    def _found(self, request: web.Request) -> Message:
        message = self._state.emails.messages.get((request.match_info["flow"], request.match_info["message"]))
        if message is None:
            raise web.HTTPNotFound(text="unknown message")
        return message


def _variant(message: Message, choice: Choice) -> Variant:
    language, example = chosen(choice.language, message.languages), chosen(choice.example, message.examples)
    return Variant(message.flow, message.name, language, example)


def _page(text: str) -> web.Response:
    return html_page(text, PAGE_POLICY)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that pages of other sites cause, and add headers to every answer.

    A page whose name resolves to this machine has another Host (DNS rebinding). A form of another site has another Origin.
    """
    host = urlsplit(f"//{request.host}").hostname
    origin = request.headers.get("Origin")
    if not is_loopback(host) or (
        request.method not in ("GET", "HEAD") and origin is not None and urlsplit(origin).netloc != request.host
    ):
        raise web.HTTPForbidden(text="this page is for readers on this machine")
    return add_headers(await handler(request), "same-origin")
