"""The site script in Node, with a hand-written page around it."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from streams.gateway.site.handlers import script

#: The page: what the script uses of a browser. `ran` collects what it sends and stores.
PAGE = """
const source = %(source)s, stored = %(stored)s, ran = {sent: [], warned: 0, url: null};
const kept = {...stored};
const storage = {
  getItem: (key) => (key in kept ? kept[key] : null),
  setItem: (key, value) => { kept[key] = value; },
  removeItem: (key) => { delete kept[key]; },
};
const window = {
  get localStorage() { if (%(refuses)s) throw new Error("denied"); return storage; },
  location: {href: %(href)s},
  history: {state: null, replaceState: (state, title, url) => { ran.url = url; }},
  setTimeout: (action) => pending.push(action),
  console: {warn: () => { ran.warned += 1; }},
  fetch: (url, options) => {
    ran.sent.push({url, ...JSON.parse(options.body)});
    return Promise.resolve({status: %(status)s});
  },
  takk: %(early)s,
};
const document = {currentScript: {src: "https://mail.shop.example/t.js", dataset: %(dataset)s}};
const pending = [];
const settle = async () => {
  while (pending.length) pending.shift()();
  await new Promise((done) => setImmediate(done));
};
(async () => {
  new Function("window", "document", "URL", source)(window, document, URL);
  const takk = window.takk;
  %(calls)s
  await settle();
  console.log(JSON.stringify({...ran, kept}));
})();
"""


def run(
    calls: str,
    *,
    consent: bool = True,
    visitor: str = "tok",
    stored: Any = None,
    href: str = "https://shop.example/jug?a=1",
    refuses: bool = False,
    status: int = 204,
    early: str = "undefined",
) -> dict[str, Any]:
    """Run the script on a page, then `calls`. Return what it sent, what it stores, and the new address of the page."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    dataset = {**({"consent": "yes"} if consent else {}), **({"visitor": visitor} if visitor else {})}
    page = PAGE % {
        "source": json.dumps(script().decode()),
        "stored": json.dumps({} if stored is None else {"takk": json.dumps(stored)}),
        "refuses": json.dumps(refuses),
        "href": json.dumps(href),
        "status": status,
        "early": early,
        "dataset": json.dumps(dataset),
        "calls": calls,
    }
    done = subprocess.run([node, "-e", page], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def kinds(ran: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the kind and the product of each event that was sent."""
    return [(event["kind"], event.get("sku", "")) for request in ran["sent"] for event in request["events"]]


def test_events_are_sent_together() -> None:
    """Events of one moment leave in one request, with the visitor and the consent."""
    ran = run("takk('viewed', 'JUG-1', {launches_at: 5}); takk('added', 7); takk('removed', 's');")
    assert ran["sent"] == [
        {
            "url": "https://mail.shop.example/t",
            "visitor": "tok",
            "consent": True,
            "events": [
                {"kind": "viewed", "sku": "JUG-1", "launches_at": 5},
                {"kind": "added_to_cart", "sku": "7"},
                {"kind": "removed_from_cart", "sku": "s"},
            ],
        }
    ]


def test_nothing_without_consent() -> None:
    """Without consent nothing is sent or stored, even if the customer is known."""
    ran = run("takk('viewed', 's'); takk('cart', ['a']); takk('identify', 'other');", consent=False)
    assert (ran["sent"], ran["kept"]) == ([], {})


def test_nothing_of_anonymous_visitors() -> None:
    """The browsing of a visitor who is not known is not sent."""
    assert run("takk('viewed', 's');", visitor="")["sent"] == []


def test_consent_may_come_later() -> None:
    """After consent events are sent, and the visitor of an earlier visit is known again."""
    stored = ["old", ["a"]]
    ran = run(
        "takk('viewed', 'x'); takk('consent', true); takk('viewed', 'y');", consent=False, visitor="", stored=stored
    )
    assert (kinds(ran), ran["sent"][0]["visitor"]) == ([("viewed", "y")], "old")
    assert json.loads(ran["kept"]["takk"]) == stored


def test_withdrawn_consent() -> None:
    """When consent is withdrawn, what was stored is removed, and what waits is not sent."""
    ran = run("takk('viewed', 's'); takk('consent', false);", stored=["old", []])
    assert (ran["sent"], ran["kept"]) == ([], {})


def test_the_token_of_a_link() -> None:
    """The token in the address of the page names the visitor, and disappears from the address."""
    ran = run("takk('viewed', 's');", visitor="", href="https://shop.example/jug?a=1&takk=link#top")
    assert (ran["sent"][0]["visitor"], ran["url"]) == ("link", "https://shop.example/jug?a=1#top")
    assert json.loads(ran["kept"]["takk"])[0] == "link"


def test_the_token_of_a_link_that_was_forwarded() -> None:
    """A visitor that the shop states is not replaced by the token of another customer in the address."""
    ran = run("takk('viewed', 's');", visitor="own", href="https://shop.example/jug?takk=friend")
    assert (ran["sent"][0]["visitor"], ran["url"]) == ("own", "https://shop.example/jug")


def test_the_cart() -> None:
    """The state of the cart is compared with that before: what came, what went, and that it is empty."""
    ran = run(
        "takk('cart', ['a', 'b']); takk('cart', ['b', 'c']); takk('cart', []); takk('cart', []);", stored=["t", ["a"]]
    )
    assert kinds(ran) == [
        ("added_to_cart", "b"),
        ("added_to_cart", "c"),
        ("removed_from_cart", "a"),
        ("removed_from_cart", "b"),
        ("removed_from_cart", "c"),
        ("cart_emptied", ""),
    ]
    assert json.loads(ran["kept"]["takk"]) == ["tok", []]


def test_a_cart_before_the_login() -> None:
    """The cart of a visitor who logs in is sent once."""
    ran = run("takk('cart', ['a']); takk('identify', 'tok'); takk('identify', 'tok');", visitor="")
    assert kinds(ran) == [("added_to_cart", "a")]


def test_an_ordered_cart() -> None:
    """After an order the cart is empty, but it was not emptied."""
    ran = run("takk('cart', ['a']); takk('ordered'); takk('cart', []);")
    assert kinds(ran) == [("added_to_cart", "a")]


def test_many_events() -> None:
    """More events than a request may have are several requests."""
    ran = run("for (let at = 0; at < 45; at += 1) takk('viewed', at);")
    assert [len(request["events"]) for request in ran["sent"]] == [20, 20, 5]


def test_an_expired_token_is_forgotten() -> None:
    """After 404 the visitor is not known any longer."""
    ran = run("takk('viewed', 's'); await settle(); takk('viewed', 't');", status=404)
    assert (kinds(ran), ran["kept"]) == ([("viewed", "s")], {})


def test_browsers_that_store_nothing() -> None:
    """If the browser refuses to store, the events of the page are sent."""
    assert kinds(run("takk('viewed', 's');", refuses=True)) == [("viewed", "s")]


def test_calls_before_the_script_is_loaded() -> None:
    """Calls that wait for the script are made when it is there, and an unknown call is a warning."""
    ran = run("takk('vieved', 's');", early="{q: [['viewed', 'a'], ['added', 'b']]}")
    assert (kinds(ran), ran["warned"]) == ([("viewed", "a"), ("added_to_cart", "b")], 1)
