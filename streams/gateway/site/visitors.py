"""Visitors of the shop's site who came by a link in an email: the link names them, so that the site script knows them."""

from __future__ import annotations

from urllib.parse import urlsplit

from streams.gateway.context import Gateway
from streams.mail.tokens import Link

#: The parameter of the shop's address that has the token. The script removes it from the address.
PARAMETER = "takk"


def is_shop(gateway: Gateway, origin: str) -> bool:
    """Return whether an origin is one of the shop's pages."""
    return bool(origin) and origin in gateway.settings.gateway_site_origins.split(",")


def refuses_tracking(gateway: Gateway, customer_id: str) -> bool:
    """Return whether a customer is known to refuse tracking."""
    page = gateway.people.get(customer_id)
    return page is not None and page.tracking is False


def named_target(gateway: Gateway, link: Link) -> str:
    """Return the target of a link with the token of its customer, if it is a page of the shop and the customer did not refuse tracking."""
    target = link.target
    try:
        parts = urlsplit(target)
    except ValueError:
        return target
    if not is_shop(gateway, f"{parts.scheme}://{parts.netloc}".lower()):
        return target
    if refuses_tracking(gateway, link.customer_id):
        return target
    token = gateway.keys.seal("v", link.customer_id, "", "", gateway.now())
    address, mark, fragment = target.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{PARAMETER}={token}{mark}{fragment}"
