"""The sender of a request for a link or a pixel: a person, a proxy that protects a person's privacy, or a scanner.

A gateway sees single requests, so this looks at one request alone. That all links of an email are followed within seconds, or before anybody
can have read it, is seen by the flows agent, which holds each click for some seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

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
#: Requests that a browser or a proxy makes in advance.
_PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


def _is_machine(agent: str) -> bool:
    return _is_known_machine(agent) if len(agent) <= _LONGEST else bool(_MACHINES.search(agent))


@lru_cache(maxsize=4096)
def _is_known_machine(agent: str) -> bool:
    """Return whether a program is a machine. The search takes as long as a fifth of a request, and few programs make most requests."""
    return bool(_MACHINES.search(agent))


def classify(kind: Literal["opened", "clicked"], headers: Mapping[str, str]) -> AgentClass:
    """Return the class of the client of an open or a click.

    Args:
        kind: whether the request is for a pixel or for a link.
        headers: of the request; names in any case must be found.
    """
    agent = headers.get("User-Agent", "").strip()
    if not agent or _is_machine(agent):
        return "scanner"
    if any(
        "prefetch" in headers.get(name, "").lower() or "preview" in headers.get(name, "").lower()
        for name in _PREFETCH_HEADERS
    ):
        return "scanner"
    if kind == "opened":
        return "privacy_proxy" if agent == _APPLE_PRIVACY else "human"
    # These proxies fetch pictures only, so a link that they follow was followed by a machine.
    return "scanner" if agent == _APPLE_PRIVACY or _PROXIES_OF_READERS.search(agent) else "human"
