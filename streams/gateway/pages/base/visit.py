"""A visit: one request to the page of a link, with what is known of the customer, and the answers to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from streams.core.model.customer_page import CustomerPage
from streams.gateway.context import GATEWAY, Gateway, Unavailable
from streams.gateway.pages.base.forms import CHECK, Form, TooLarge, form_check, is_foreign, made_at, read_form
from streams.gateway.pages.base.site import LANGUAGES, Site, accepted, page_language, site_of
from streams.gateway.requests import link_of
from streams.mail.tokens import BadLink, Link, Use
from streams.observability import metrics

#: Pages are for one customer. The server adds the headers of every response.
HEADERS = {"X-Robots-Tag": "noindex, nofollow"}
#: The status of a page with an error that is not about the values of the form.
_STATUS = {"error.again": 403, "error.too-large": 413, "error.photo-size": 413, "error.busy": 503}


@dataclass(frozen=True)
class Visit:
    """One request to the page of a link.

    Attributes:
        request: the request.
        gateway: the context of the gateway.
        site: templates, copy and brand.
        use, token: of the link, from the path.
        link: the content of the token.
        person: what is known of the customer; None: nothing, yet.
        language: the language of the page.
        now: the time of the request, UTC.
    """

    request: web.Request
    gateway: Gateway
    site: Site
    use: Use
    token: str
    link: Link
    person: CustomerPage | None
    language: str
    now: datetime

    @property
    def first_name(self) -> str:
        """The name to greet with, or ""."""
        return self.person.first_name if self.person is not None else ""

    @property
    def country(self) -> str:
        """The customer's country, else the shop's."""
        return (self.person.country if self.person is not None else "") or self.gateway.settings.shop_country

    @property
    def done(self) -> str:
        """The action that the customer has taken, on the page after it. Such a page only thanks."""
        return self.request.query.get("done", "")[:40]

    def title_of(self, sku: str) -> str:
        """Return the title of a product as the shop states it now, else as the last order has it; "" if it is unknown."""
        product = self.gateway.products.get(sku)
        if product is not None and product.title:
            return product.title
        order = self.person.order if self.person is not None else None
        return next((line.title for line in order.lines if line.sku == sku), "") if order is not None else ""

    def page(self, template: str, error: str = "", **values: Any) -> web.Response:
        """Return a page. `error` is the key of a text that says why the form was not accepted."""
        html = self.site.render(
            template,
            self.language,
            {
                "first_name": self.first_name,
                "person": self.person,
                "done": self.done,
                "check": {"name": CHECK, "value": form_check(self.gateway, self.token, self.now)},
                "action": f"?lang={self.language}",
                "error": error,
                **values,
            },
            locale=self.person.locale if self.person is not None else "",
            country=self.country,
        )
        status = _STATUS.get(error, 422) if error else 200
        return web.Response(text=html, status=status, content_type="text/html", headers=HEADERS)

    def redirect(self, done: str, language: str = "") -> web.Response:
        """Return a redirection to the same page after something is done, so that loading it again does not do it again."""
        location = f"?lang={language or self.language}&done={done}"
        return web.Response(status=303, headers={**HEADERS, "Location": location})

    def text(self, key: str) -> str:
        """Return a text of the copy."""
        return self.site.text(key, self.language, {"first_name": self.first_name})


@dataclass(frozen=True)
class Submission:
    """A form that comes from a page of the visit's link.

    Attributes:
        form: its fields.
        made: when its page was made, as hexadecimal text: the same if the form is submitted twice.
    """

    form: Form
    made: str


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Show = Callable[[Visit], Awaitable[web.Response]]
Act = Callable[[Visit, Submission], Awaitable[web.Response]]
Again = Callable[[Visit, Form, str], Awaitable[web.Response]]


def visit_of(request: web.Request, use: Use) -> Visit:
    """Return the visit of a request.

    Raises:
        BadLink: the token is not valid.
    """
    gateway = request.app[GATEWAY]
    link = link_of(request, use)
    person = gateway.people.get(link.customer_id)
    return Visit(
        request,
        gateway,
        site_of(gateway.settings),
        use,
        request.match_info["token"],
        link,
        person,
        language_of(request, gateway, person),
        gateway.now(),
    )


def language_of(request: web.Request, gateway: Gateway, person: CustomerPage | None = None) -> str:
    """Return the language of a page: the one that the visitor chose, else the customer's, the browser's, or the shop's."""
    chosen = request.query.get("lang", "")
    if chosen in LANGUAGES:
        return chosen
    own = [person.locale] if person is not None and person.locale else []
    return page_language(*own, *accepted(request.headers.get("Accept-Language", "")), gateway.settings.shop_locale)


def unknown_link(request: web.Request, reason: str) -> web.Response:
    """Return the page of a link that is not valid: 404, without a redirection."""
    gateway = request.app[GATEWAY]
    language = language_of(request, gateway)
    html = site_of(gateway.settings).render("unknown.html.j2", language, {"expired": reason == "expired"})
    return web.Response(text=html, status=404, content_type="text/html", headers=HEADERS)


def shown(use: Use, show: Show) -> Handler:
    """Return the handler of a page's GET, which changes nothing."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            visit = visit_of(request, use)
        except BadLink as error:
            return unknown_link(request, error.reason)
        return await show(visit)

    return handle


def acted(use: Use, act: Act, again: Again, max_photo: int = 0) -> Handler:
    """Return the handler of a page's POST.

    Args:
        use: the kind of link.
        act: carries out a form that comes from a page of the link.
        again: shows the page again with what was typed, and an error by its key in the copy.
        max_photo: bytes that a photo in the form may have.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            visit = visit_of(request, use)
        except BadLink as error:
            return unknown_link(request, error.reason)
        try:
            form = await read_form(request, max_photo)
        except TooLarge:
            return await again(visit, Form(), "error.too-large")
        made = made_at(visit.gateway, visit.token, form)
        if not made or is_foreign(request, visit.gateway.settings.mail_base_url):
            # After a form was cut off, too: its hidden field may be missing.
            key = "error.photo-size" if form.is_photo_too_large else "error.again"
            return await again(visit, form, key)
        try:
            return await act(visit, Submission(form, made))
        except Unavailable as error:
            metrics.GATEWAY_UNAVAILABLE.inc()
            busy = await again(visit, form, "error.busy")
            busy.headers["Retry-After"] = str(error.retry_after_s)
            return busy

    return handle
