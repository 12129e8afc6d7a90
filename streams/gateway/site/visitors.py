"""Visitors of the shop's site who came by a link in an email: the link names them, so that the site script knows them."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

import idna

from streams.gateway.context import Gateway
from streams.mail.tokens import Link

#: The parameter of the shop's address that has the token. The script removes it from the address.
PARAMETER = "takk"
#: Characters of an address that are not encoded again: the reserved ones, and the sign of an encoding.
_SAFE = "%/:?#[]@!$&'()*+,;=~"
#: Addresses that are in this form already, as most are. The functions of the standard library are slow.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/?#\[\]@!$&'()*+,;=~-]*")
#: Scheme, login, host and port at the start of an address.
_HOST = re.compile(r"([a-z]+://(?:[^/?#]*@)?)([^/?#@:\[\]]+)", re.IGNORECASE)


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
    if not gateway.settings.gateway_site_origins:
        return target
    try:
        parts = urlsplit(target)
    except ValueError:
        return target
    if not is_shop(gateway, ascii_address(f"{parts.scheme}://{parts.netloc}").lower()):
        return target
    if refuses_tracking(gateway, link.customer_id):
        return target
    token = gateway.keys.seal("v", link.customer_id, "", "", gateway.now())
    address, mark, fragment = target.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{PARAMETER}={token}{mark}{fragment}"


def ascii_address(address: str) -> str:
    """Return an address as HTTP writes it: the host in its ASCII form (RFC 5891), everything else percent-encoded (RFC 3986).

    A host that has no ASCII form is percent-encoded, too, as browsers accept it.
    """
    if _PLAIN.fullmatch(address):
        return address
    match = _HOST.match(address)
    if match is not None:
        address = f"{match[1]}{_ascii_host(match[2])}{address[match.end() :]}"
    return quote(address, safe=_SAFE)


def _ascii_host(host: str) -> str:
    name = unquote(host)
    if name.isascii():
        return host
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        pass  # a name that only the earlier standard allows, for example one with an emoji
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return host
