"""The page that confirms a request: it was opened from an email to the address in question, and its button carries out the request."""

from __future__ import annotations

from aiohttp import web

from streams.gateway.pages.base.forms import Form
from streams.gateway.pages.base.records import publish, request
from streams.gateway.pages.base.visit import Submission, Visit, acted, shown, unknown_link

TEMPLATE = "confirm.html.j2"
#: The kinds of requests that are confirmed. The id of a request starts with its kind.
KINDS = ("change_address", "export", "erase")


def kind_of(request_id: str) -> str:
    """Return the kind of a request, or "" if it is not one that is confirmed."""
    kind = request_id.rpartition("-")[0]
    return kind if kind in KINDS else ""


async def show(visit: Visit) -> web.Response:
    """Return the page with the button, or the thanks after it."""
    return await again(visit, Form(), "")


async def again(visit: Visit, form: Form, error: str) -> web.Response:
    """Return the page again with an error."""
    kind = kind_of(visit.link.target)
    if not kind:
        return unknown_link(visit.request, "malformed")
    return visit.page(TEMPLATE, error=error, kind=kind)


async def act(visit: Visit, submission: Submission) -> web.Response:
    """Publish that the request is confirmed."""
    id = visit.link.target
    kind = kind_of(id)
    if not kind or submission.form.text("act") != "confirm":
        return await again(visit, submission.form, "error.again")
    await publish(visit, request(visit, kind, id, stage="confirmed"))
    return visit.redirect("confirmed")


get, post = shown("a", show), acted("a", act, again)
