"""The sender of a request for a link or a pixel: a person, a proxy that protects a person's privacy, or a scanner.

A gateway sees single requests, so this looks at one request alone. That all links of an email are followed within seconds, or before anybody
can have read it, is seen by the flows agent, which holds each click for some seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from multidict import istr

from streams.core.model.events import AgentClass

#: Programs that fetch links without a person: scanners of mail servers, previews, crawlers, and libraries for HTTP.
_MACHINES = re.compile(
    r"(?<!cu)bot\b|(?<!cu)bot[/;_-]|crawl|spider|scan(?!dinav)|preview|proofpoint|mimecast|barracuda|messagelabs|symantec|"
    r"fireeye|forti|sophos|trend ?micro|ironport|zscaler|urldefense|safelinks|ms ?exchange|existence discovery|protocol discovery|"
    r"headless|phantomjs|puppeteer|playwright|selenium|curl/|wget|python|aiohttp|httpx|go-http-client|java/|okhttp|apache-http|libwww|perl|ruby|guzzle|axios|"
    r"node-fetch|undici|powershell|facebookexternalhit|whatsapp|monitor|uptime|validator|archive",
    re.IGNORECASE,
)
#: Image proxies that fetch a picture when the person opens the email. The person is behind them.
_PROXIES_OF_READERS = re.compile(r"googleimageproxy|yahoomailproxy|ymailproxy", re.IGNORECASE)
#: The whole user agent of Apple's Mail Privacy Protection, which fetches pictures whether or not somebody reads the email.
_APPLE_PRIVACY = "Mozilla/5.0"
#: Characters of a user agent that is remembered. Those of browsers are shorter.
_LONGEST = 300
_USER_AGENT = istr("User-Agent")
#: The headers of requests that a browser or a proxy makes in advance. Request headers are found faster by an `istr`.
_PREFETCH_HEADERS = tuple(map(istr, ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")))


class _Classes(NamedTuple):
    """The classes of a program that opens an email, and of one that follows a link."""

    opened: AgentClass
    clicked: AgentClass


def _classes_of(agent: str) -> _Classes:
    if not agent or _MACHINES.search(agent):
        return _Classes("scanner", "scanner")
    if agent == _APPLE_PRIVACY:
        return _Classes("privacy_proxy", "scanner")
    # These proxies fetch pictures only, so a link that they follow was followed by a machine.
    return _Classes("human", "scanner" if _PROXIES_OF_READERS.search(agent) else "human")


#: The searches take as long as a fifth of a request, and few programs make most requests.
_known_classes_of = lru_cache(maxsize=4096)(_classes_of)


def classify(kind: Literal["opened", "clicked"], headers: Mapping[str, str]) -> AgentClass:
    """Return the class of the client of an open or a click.

    Args:
        kind: whether the request is for a pixel or for a link.
        headers: of the request; names in any case must be found.
    """
    for name in _PREFETCH_HEADERS:
        if name in headers and ("prefetch" in (value := headers[name].lower()) or "preview" in value):
            return "scanner"
    agent = headers.get(_USER_AGENT, "").strip()
    classes = _known_classes_of(agent) if len(agent) <= _LONGEST else _classes_of(agent)
    return classes.opened if kind == "opened" else classes.clicked
