"""The inbox's web page: a list, a search by address, and a view that shows an email's HTML in a sandbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from aiohttp import web
from jinja2 import Environment
from markupsafe import Markup

#: Emails per page of the list.
PAGE_SIZE = 100
#: The page runs no script and loads nothing from other servers.
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
#: An email may use its own styles and embedded images, and open links in a new tab. It runs no script and sends no request.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)

_ENVIRONMENT = Environment(autoescape=True)
_FRAME = """\
<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width"><style>
:root { color-scheme: light dark } body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 62rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #8884 }
th { font-weight: 600; white-space: nowrap; vertical-align: top } td { overflow-wrap: anywhere } .quiet { opacity: .65; white-space: nowrap }
iframe { width: 100%; height: 46rem; border: 1px solid #8886; background: #fff } pre { white-space: pre-wrap; overflow-wrap: anywhere }
input { font: inherit; padding: .25rem .5rem; width: 20rem; max-width: 100% }
</style></head><body>{{ body }}</body></html>"""
_LIST = """\
<h1>Inbox</h1>
<form method="get" action="/"><label>Address <input type="search" name="to" value="{{ to }}" autofocus></label> <button>Search</button></form>
<p>{% if to %}{{ found }} of {{ accepted }} emails match{% else %}{{ accepted }} email{{ "" if accepted == 1 else "s" }} received{% endif %}
{%- if refused %}, {{ refused }} rejected{% endif %}.{% if not accepted %} Reload the page to see new emails.{% endif %}</p>
<table><tr><th>Received (UTC)</th><th>To</th><th>Subject</th><th>Bytes</th></tr>
{% for mail in mails %}<tr><td class="quiet">{{ mail.received_at_ms | utc_time }}</td><td>{{ mail.to | join(", ") }}</td>
<td><a href="/mail/{{ mail.number }}">{{ mail.subject or "(no subject)" }}</a></td><td class="quiet">{{ mail.size }}</td></tr>
{% endfor %}</table>
<p>{% if page > 1 %}<a href="/?to={{ to | urlencode }}&amp;page={{ page - 1 }}">Newer</a>{% endif %}
{% if page < pages %}<a href="/?to={{ to | urlencode }}&amp;page={{ page + 1 }}">Older</a>{% endif %}</p>"""
_MAIL = """\
<p><a href="/">Inbox</a></p><h1>{{ mail.subject or "(no subject)" }}</h1>
<p>{{ mail.received_at_ms | utc_time }} UTC, to {{ mail.to | join(", ") }}. <a href="/mail/{{ mail.number }}/raw">Source</a></p>
{% if html is not none %}<iframe title="The email" sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer"
 src="/mail/{{ mail.number }}/html"></iframe>{% endif %}
{% if mail.raw is none %}<p>The body was dropped to save memory.</p>{% endif %}
{% if text is not none %}<h2>Text</h2><pre>{{ text }}</pre>{% endif %}
<h2>Headers</h2><table>{% for name, value in mail.headers.items() %}<tr><th>{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}</table>"""


class ShownEmail(Protocol):
    """The part of an email that the page shows."""

    number: int
    to: tuple[str, ...]
    size: int
    received_at_ms: int

    @property
    def subject(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def raw(self) -> bytes | None: ...
    @property
    def html(self) -> str | None: ...
    @property
    def text(self) -> str | None: ...


class Mailbox(Protocol):
    """The part of an inbox that the page uses."""

    accepted: int
    refused: int

    def mails(self, to: str | None = None) -> Sequence[ShownEmail]: ...
    def mail(self, number: int) -> ShownEmail | None: ...


def _utc_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


_ENVIRONMENT.filters["utc_time"] = _utc_time


def make_page(mailbox: Mailbox) -> web.Application:
    """Return the web application of `mailbox`: `/` (list; `?to=` searches), `/mail/N`, `/mail/N/html`, `/mail/N/raw`, `/counts.json`."""

    async def show_list(request: web.Request) -> web.Response:
        to = request.query.get("to", "").strip()
        matches = mailbox.mails(to)
        pages = max(1, -(-len(matches) // PAGE_SIZE))
        number = request.query.get("page", "1")
        page = min(max(int(number) if number.isdecimal() else 1, 1), pages)
        newest_first = matches[::-1][(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
        counts = {"found": len(matches), "accepted": mailbox.accepted, "refused": mailbox.refused}
        return _page("Inbox", _LIST, mails=newest_first, to=to, page=page, pages=pages, **counts)

    async def show_mail(request: web.Request) -> web.Response:
        mail = _find(request)
        return _page(mail.subject or "Email", _MAIL, mail=mail, html=mail.html, text=mail.text)

    async def show_html(request: web.Request) -> web.Response:
        html = _find(request).html
        if html is None:
            raise web.HTTPNotFound(text="no HTML part")
        return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": MAIL_POLICY})

    async def show_raw(request: web.Request) -> web.Response:
        raw = _find(request).raw
        if raw is None:
            raise web.HTTPNotFound(text="the body was dropped to save memory")
        return web.Response(text=raw.decode("utf-8", "replace"), content_type="text/plain")

    async def show_counts(request: web.Request) -> web.Response:
        return web.json_response({"accepted": mailbox.accepted, "refused": mailbox.refused})

    def _find(request: web.Request) -> ShownEmail:
        mail = mailbox.mail(int(request.match_info["number"]))
        if mail is None:
            raise web.HTTPNotFound(text="unknown email")
        return mail

    app = web.Application(middlewares=[_guard])
    app.router.add_get("/", show_list)
    app.router.add_get("/counts.json", show_counts)
    app.router.add_get(r"/mail/{number:\d{1,12}}", show_mail)
    app.router.add_get(r"/mail/{number:\d{1,12}}/html", show_html)
    app.router.add_get(r"/mail/{number:\d{1,12}}/raw", show_raw)
    return app


def _page(title: str, template: str, **values: object) -> web.Response:
    body = Markup(_ENVIRONMENT.from_string(template).render(values))  # noqa: S704 - rendered with autoescape a word before
    text = _ENVIRONMENT.from_string(_FRAME).render(title=title, body=body)
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Add headers to every answer: no MIME sniffing, no referrer, no caching."""
    answer = await handler(request)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer
