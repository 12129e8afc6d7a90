"""The parts that the local pages of tools share: templates, files beside them, the query of a choice, and the headers of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader
from msgspec import Struct
from msgspec.structs import asdict

from streams.tools.preview.shown_html import EMAIL_POLICY

#: The templates, styles and scripts of this package.
ASSETS = Path(__file__).parent / "assets"
#: A page runs its own script only, and loads nothing from other servers.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: A page may measure the frame of an email. Without `allow-scripts`, the email runs nothing.
FRAME_POLICY = f"{EMAIL_POLICY}; frame-ancestors 'self'; sandbox allow-same-origin"
_TYPES = {"css": "text/css", "js": "text/javascript"}


def environment(folder: Path) -> Environment:
    """Return the environment of the templates in a folder. Every value is escaped."""
    return Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def query_of(choice: Struct) -> str:
    """Return a choice as the query of an address, with its question mark. Values as at the start are left out; "" if all are."""
    initial: dict[str, Any] = asdict(type(choice)())
    values = {name: value for name, value in asdict(choice).items() if value != initial[name]}
    return f"?{urlencode(values)}" if values else ""


def asset(folder: Path, name: str) -> web.Response:
    """Return a style or a script of a folder as an answer. The route allows only names that exist."""
    text = (folder / name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=_TYPES[name.rpartition(".")[2]])


def html_page(text: str, policy: str) -> web.Response:
    """Return a page as an answer, with its policy for scripts and requests."""
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})


def add_headers(answer: web.StreamResponse, referrer: str) -> web.StreamResponse:
    """Add headers to an answer that has not begun: no MIME sniffing, no caching, and a policy for the referrer."""
    if not answer.prepared:
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = referrer
        answer.headers["Cache-Control"] = "no-store"
    return answer
