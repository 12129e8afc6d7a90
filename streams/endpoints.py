"""Hosts and URLs of the settings: parsed before anything uses them, so that a mistake is reported by the name of its variable.

Sources: RFC 3986 (URLs), RFC 1123 2.1 (names of hosts), RFC 5890 (names with other letters).
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from email.utils import getaddresses
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import idna

from streams.addresses import ascii_domain_of

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: Unicode categories without a place in a setting: control characters, surrogates, and separators of lines.
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: One label of a host name. Docker and Windows names have underscores.
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
#: The most characters of a host name (RFC 1035 2.3.4).
_MAX_NAME = 253
#: The part of an address before the @ without quotes (RFC 5321 4.1.2).
_LOCAL_PART = re.compile(r"(?!\.)(?!.*\.\.)[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]{1,64}(?<!\.)")
#: The characters of a URL (RFC 3986 2), except those of a path that would start a query or a fragment.
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
#: The rules of AWS for the names of buckets, and a prefix of plain characters.
_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/[A-Za-z0-9._/-]{0,200})?")
_PORTS = range(1, 65536)
#: `[IPv6 address]` or a name, and a port.
_SERVER = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?")
#: An IPv4 or IPv6 address in brackets.
_ADDRESS_LITERAL = re.compile(r"\[(?:\d{1,3}(?:\.\d{1,3}){3}|IPv6:[0-9A-Fa-f:.]{2,45})\]")
#: Emails per second.
_RATE = re.compile(r"\d{1,7}(?:\.\d{1,6})?", re.ASCII)


def check_text(text: str, *, is_secret: bool = False) -> str:
    """Return a value of one line: without control characters and, unless it is a secret, without blanks around it.

    Raises:
        ValueError: with what is wrong.
    """
    if not is_secret and text != text.strip():
        raise ValueError("blanks before or after the value: remove them")
    for character in text:
        if unicodedata.category(character) in _CONTROL:
            found = "a control character" if is_secret else f"the control character U+{ord(character):04X}"
            raise ValueError(f"the value contains {found}: remove it")
    return text


def check_host(host: str) -> str:
    """Return the name or the IP address of a host, without a port.

    Raises:
        ValueError: it is neither.
    """
    if not _is_host(host):
        raise ValueError(
            f"not a valid host: {host!r} (use a name such as mail.shop.example or an IP address, without a port)"
        )
    return host


def check_mailbox(text: str) -> str:
    """Return the sender `Name <address>`, or an address, with the domain as it is written in an email and in SMTP.

    A domain with other letters becomes its ASCII form (RFC 5891). The part before the @ has none.

    Raises:
        ValueError: with what is wrong.
    """
    found = getaddresses([text])
    address = found[0][1] if len(found) == 1 else ""
    local, _, domain = address.rpartition("@")
    if not local or address not in text:
        raise ValueError("not a valid sender (use for example `My Shop <hello@shop.example>`)")
    if not _LOCAL_PART.fullmatch(local):
        raise ValueError(
            f"invalid part before the @: {local!r} (use at most 64 letters without accents, digits, dots and dashes, as in hello@)"
        )
    try:
        ascii_domain = ascii_domain_of(domain)
    except idna.IDNAError as error:
        raise ValueError(f"the domain {domain!r} cannot be used in an email: {error}") from None
    except ValueError:
        raise ValueError(f"not a valid domain: {domain!r} (use for example hello@shop.example)") from None
    before, _, after = text.rpartition(address)
    return f"{before}{local}@{ascii_domain}{after}"


def check_helo_name(text: str) -> str:
    """Return the name for EHLO in ASCII: a domain name, or an address literal such as `[192.0.2.1]` (RFC 5321 4.1.3).

    Raises:
        ValueError: it is neither.
    """
    if _ADDRESS_LITERAL.fullmatch(text):
        return text
    try:
        return ascii_domain_of(text).lower()
    except ValueError:
        raise ValueError(
            "not a valid name (use a domain name such as mail.shop.example, or an address as [192.0.2.1])"
        ) from None


def rates_by_domain(text: str) -> dict[str, float]:
    """Return the rates of `gmail.com=14,outlook.com=5` by domain, in ASCII and lower case.

    Raises:
        ValueError: an entry is not a domain with a positive number, or a domain has two entries.
    """
    rates: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        domain, _, number = (part.strip() for part in entry.partition("="))
        try:
            domain = ascii_domain_of(domain).lower()
            if not _RATE.fullmatch(number) or float(number) <= 0 or domain in rates:
                raise ValueError
        except ValueError:
            raise ValueError(
                f"not a valid rate: {entry!r} (use for example gmail.com=14,outlook.com=5, each domain once)"
            ) from None
        rates[domain] = float(number)
    return rates


Network: TypeAlias = IPv4Network | IPv6Network


def networks_of(text: str) -> tuple[Network, ...]:
    """Return the networks in `text`, addresses or networks with commas between.

    Raises:
        ValueError: one is not valid.
    """
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ip_network(entry, strict=False))
        except ValueError:
            raise ValueError(f"not a valid network: {entry!r} (use for example 10.0.0.0/8,192.0.2.7)") from None
    return tuple(found)


def check_servers(servers: str) -> str:
    """Return a list of `host:port` (or `host`) with commas between, without blanks.

    Raises:
        ValueError: one of them is invalid.
    """
    cleaned = [server.strip(" ") for server in servers.split(",")]
    for server in cleaned:
        match = _SERVER.fullmatch(server)
        if match is None or not _is_host(match[1] or match[2]) or (match[3] and int(match[3]) not in _PORTS):
            raise ValueError(
                f"not a valid address of a broker: {server!r} (use for example broker-1:9092,broker-2:9092)"
            )
    return ",".join(cleaned)


def check_url(url: str, *, allow_login: bool = False) -> str:
    """Return an http or https URL without query and fragment.

    Args:
        url: the URL.
        allow_login: whether it may contain a user and a password.

    Raises:
        ValueError: it is invalid; the text contains no part of a URL that may have a password.
    """
    shown = "" if allow_login else f": {url!r}"
    if not _URL.fullmatch(url) or re.search(r"%(?![0-9A-Fa-f]{2})", url):
        raise ValueError(f"a character that a URL cannot contain{shown} (encode it, as in a%20b)")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"not a valid URL{shown}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"not a URL{shown} (it must start with http:// or https://)")
    if "@" in parts.netloc and not allow_login:
        raise ValueError("the URL must not contain a user or a password")
    if parts.hostname is None or not _is_host(parts.hostname) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"not a valid host or port in the URL{shown}")
    if "?" in url or "#" in url:
        raise ValueError(f"the URL must not contain ? or #{shown}")
    return url


def origins_of(text: str) -> list[str]:
    """Return the origins in `text`, with commas between, in the form in which browsers send them.

    Raises:
        ValueError: one is not valid.
    """
    found = []
    for url in filter(None, (part.strip().rstrip("/").lower() for part in text.split(","))):
        if urlsplit(check_url(url)).path:
            raise ValueError(f"not an origin: {url!r} (leave out the path, as in https://shop.example)")
        found.append(url)
    return found


def bucket_of(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix of `s3://bucket/prefix`. The prefix is empty, or ends with a slash.

    Raises:
        ValueError: it is not such an address.
    """
    match = _BUCKET.fullmatch(url)
    if match is None:
        raise ValueError("not the address of a bucket (use for example s3://bucket or s3://bucket/uploads)")
    prefix = (match[2] or "").strip("/")
    return match[1], f"{prefix}/" if prefix else ""


def check_urls(urls: str) -> str:
    """Return URLs with commas between, each as `check_url` allows it, with a login.

    Raises:
        ValueError: one of them is invalid.
    """
    return ",".join(check_url(url.strip(" "), allow_login=True) for url in urls.split(","))


def without_login(urls: str) -> tuple[str, str | None]:
    """Return URLs (commas between) without user and password, and the first one's `user:password`, or None."""
    parts = split_urls(urls)
    login = next((part.netloc.rpartition("@")[0] for part in parts if "@" in part.netloc), None)
    addresses = ",".join(urlunsplit(part._replace(netloc=part.netloc.rpartition("@")[2])) for part in parts)
    if login is None:
        return addresses, None
    user, _, password = login.partition(":")
    return addresses, f"{unquote(user)}:{unquote(password)}"


def is_loopback(host: str | None) -> bool:
    """Return whether a host is this machine by its name: nothing sent there can be read on a network."""
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in LOOPBACK


def host_of(server: str) -> str:
    """Return the host of one of `check_servers`."""
    match = _SERVER.fullmatch(server)
    return (match[1] or match[2]) if match else server


def split_urls(urls: str) -> list[SplitResult]:
    """Return the parts of URLs with commas between."""
    return [urlsplit(url) for url in urls.split(",")]


def _is_host(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ip_address(host)
        return True
    try:
        name = host.encode("ascii") if host.isascii() else host.encode("idna")
    except UnicodeError:
        return False
    text = name.decode("ascii").removesuffix(".")
    return 0 < len(text) <= _MAX_NAME and all(_LABEL.fullmatch(label) for label in text.split("."))
