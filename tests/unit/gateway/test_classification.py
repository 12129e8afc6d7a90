"""The clients that follow links and fetch pixels: a corpus of user agents as mail programs, proxies and scanners send them."""

from __future__ import annotations

from typing import Literal

import pytest

from streams.core.model.events import AgentClass
from streams.gateway.classification import classify

_CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
)
#: User agent, class of an open, class of a click.
CORPUS: tuple[tuple[str, AgentClass, AgentClass], ...] = (
    # People: browsers, mail programs, and browsers within apps.
    (_CHROME, "human", "human"),
    (f"{_CHROME} Edg/138.0.0.0", "human", "human"),
    (f"{_CHROME} OPR/120.0.0.0", "human", "human"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "human", "human"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.5.0", "human", "human"),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
        "human",
        "human",
    ),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148", "human", "human"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", "human", "human"),
    ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/138.0.0.0 Mobile", "human", "human"),
    ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Mobile Safari/537.36", "human", "human"),
    ("Mozilla/4.0 (compatible; ms-office; MSOffice 16)", "human", "human"),
    ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)", "human", "human"),
    ("Outlook-iOS/2.0", "human", "human"),
    ("Mozilla/5.0 (Linux; Android 10; CUBOT_X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/88.0 Mobile", "human", "human"),
    ("Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/88.0 Mobile", "human", "human"),
    ("Mozilla/5.0 (compatible; Scandinavian Airlines Wifi) AppleWebKit/605.1.15", "human", "human"),
    # Proxies that fetch a picture when the person opens the email.
    ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "human", "scanner"),
    ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "human", "scanner"),
    # Apple's Mail Privacy Protection fetches pictures whether or not somebody reads.
    ("Mozilla/5.0", "privacy_proxy", "scanner"),
    # Scanners of mail servers, previews, crawlers, libraries.
    ("", "scanner", "scanner"),
    ("Mozilla/5.0 (compatible; MimeCast-URL-Protect/1.0)", "scanner", "scanner"),
    ("BarracudaCentral/1.0 (http://barracudacentral.org)", "scanner", "scanner"),
    ("Mozilla/5.0 (compatible; proofpoint-url-defense)", "scanner", "scanner"),
    ("Symantec MessageLabs Link Follower", "scanner", "scanner"),
    ("FireEye/1.0", "scanner", "scanner"),
    ("FortiGuard-WebScan", "scanner", "scanner"),
    ("Mozilla/5.0 (compatible; TrendMicro WTP)", "scanner", "scanner"),
    ("Microsoft Office Existence Discovery", "scanner", "scanner"),
    ("Microsoft Office Protocol Discovery", "scanner", "scanner"),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0", "scanner", "scanner"),
    ("Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b", "scanner", "scanner"),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "scanner", "scanner"),
    ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "scanner", "scanner"),
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "scanner", "scanner"),
    ("WhatsApp/2.24.20 A", "scanner", "scanner"),
    ("TelegramBot (like TwitterBot)", "scanner", "scanner"),
    ("Mozilla/5.0 SkypeUriPreview Preview/0.5", "scanner", "scanner"),
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36", "scanner", "scanner"),
    ("curl/8.5.0", "scanner", "scanner"),
    ("Wget/1.21.3", "scanner", "scanner"),
    ("python-requests/2.32.3", "scanner", "scanner"),
    ("Python/3.12 aiohttp/3.11.11", "scanner", "scanner"),
    ("Go-http-client/1.1", "scanner", "scanner"),
    ("Java/17.0.9", "scanner", "scanner"),
    ("okhttp/4.12.0", "scanner", "scanner"),
    ("Apache-HttpClient/4.5.13 (Java/11.0.16)", "scanner", "scanner"),
    ("node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "scanner", "scanner"),
)  # fmt: skip


@pytest.mark.parametrize(("agent", "opened", "clicked"), CORPUS, ids=[agent[:40] or "none" for agent, _, _ in CORPUS])
def test_the_corpus(agent: str, opened: AgentClass, clicked: AgentClass) -> None:
    """Each user agent has its class, as the client of an open and of a click."""
    headers = {"User-Agent": agent}
    assert classify("opened", headers) == opened
    assert classify("clicked", headers) == clicked


@pytest.mark.parametrize("kind", ["opened", "clicked"])
@pytest.mark.parametrize(
    "header",
    [{"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Purpose": "preview"}, {"X-Moz": "prefetch"}],
)
def test_requests_in_advance(kind: Literal["opened", "clicked"], header: dict[str, str]) -> None:
    """A page that a browser fetches in advance was not asked for by the person."""
    assert classify(kind, {"User-Agent": _CHROME, **header}) == "scanner"


def test_no_user_agent() -> None:
    """A client without a user agent is a machine."""
    assert classify("clicked", {}) == "scanner"
