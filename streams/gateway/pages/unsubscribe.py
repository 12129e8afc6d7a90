"""The page to unsubscribe from emails, and to come back. A GET changes nothing: mail scanners follow links."""

from __future__ import annotations

from aiohttp import web

from streams.gateway.pages.base.forms import Form, TooLarge, read_form
from streams.gateway.pages.base.records import engagement, event_id, evidence, publish, request, request_id
from streams.gateway.pages.base.visit import HEADERS, Submission, Visit, acted, shown, unknown_link, visit_of
from streams.gateway.requests import RECENT, RecentEvents
from streams.mail.tokens import BadLink

#: The scopes, the widest last. `marketing` is everything that is not transactional.
SCOPES = ("review", "survey", "service", "marketing")
TEMPLATE = "unsubscribe.html.j2"
SOURCE = "unsubscribe page"
#: The field of a mail program's request (RFC 8058, 3.2).
_ONE_CLICK = ("List-Unsubscribe", "One-Click")


def scope_of(visit: Visit) -> str:
    """Return the scope of the email. An unknown scope is everything that is not transactional."""
    return visit.link.target if visit.link.target in SCOPES else "marketing"


async def show(visit: Visit) -> web.Response:
    """Return the page with the choice of scope, or the thanks after it."""
    return _page(visit, scope_of(visit))


async def again(visit: Visit, form: Form, error: str) -> web.Response:
    """Return the page again, with the choice that was made and an error."""
    return _page(visit, form.text("scope") or scope_of(visit), error)


def _page(visit: Visit, chosen: str, error: str = "") -> web.Response:
    link = visit.link
    preferences = visit.gateway.keys.seal("p", link.customer_id, link.send_id, "", visit.now)
    # The scope of the email comes first.
    scopes = sorted(SCOPES, key=lambda scope: scope != scope_of(visit))
    is_fewer = visit.person is not None and visit.person.frequency == "fewer"
    return visit.page(
        TEMPLATE,
        error=error,
        scopes=scopes,
        chosen=chosen,
        offers_fewer=scope_of(visit) == "marketing" and not is_fewer,
        preferences=f"../p/{preferences}?lang={visit.language}",
    )


async def act(visit: Visit, submission: Submission) -> web.Response:
    """Unsubscribe, subscribe again, or ask for fewer emails."""
    form = submission.form
    scope, action = form.text("scope"), form.text("act")
    if action == "fewer":
        id = request_id(visit, "frequency", f"fewer.{submission.made}")
        await publish(visit, request(visit, "frequency", id, fields={"frequency": "fewer"}))
        return visit.redirect("fewer")
    if scope not in SCOPES:
        return await again(visit, form, "error.choose")
    if action == "return":
        # Only the answer for this scope: a yes to service emails is not a yes to marketing.
        fields = {"answers": {scope: True}, **evidence(visit, SOURCE, [f"u.return.{scope}"])}
        id = request_id(visit, "preferences", f"return.{scope}.{submission.made}")
        await publish(visit, request(visit, "preferences", id, fields=fields))
        return visit.redirect(f"back-{scope}")
    await _leave(visit, scope, submission.made)
    return visit.redirect(scope)


async def _leave(visit: Visit, scope: str, made: str, recent: RecentEvents | None = None) -> None:
    id = event_id(visit, "unsubscribed", f"{scope}.{made}")
    if recent is not None and recent.is_repeat(id):
        return
    await publish(visit, engagement(visit, "unsubscribed", id, {"scope": scope}))
    if recent is not None:
        recent.add(id)


_submitted = acted("u", act, again)


async def post(http_request: web.Request) -> web.StreamResponse:
    """Handle the page's form, or the request of a mail program (RFC 8058), which has no page before it and needs no redirection."""
    if not await _is_one_click(http_request):
        return await _submitted(http_request)
    try:
        visit = visit_of(http_request, "u")
    except BadLink as error:
        return unknown_link(http_request, error.reason)
    # By the second: a customer may subscribe again and leave again. Two unsubscriptions are as good as one.
    await _leave(visit, scope_of(visit), f"{int(visit.now.timestamp())}", http_request.app[RECENT])
    return web.Response(text="Unsubscribed.\n", headers=HEADERS)


async def _is_one_click(http_request: web.Request) -> bool:
    try:
        form = await read_form(http_request)
    except TooLarge:
        return False
    return form.text(_ONE_CLICK[0]) == _ONE_CLICK[1]


get = shown("u", show)
