"""Flow files: what is read, and the words for what is wrong."""

from __future__ import annotations

from datetime import time, timedelta

import pytest

from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.flow import Flow, Send, Split, Wait
from streams.definitions.language.flow import parse_flow

GOOD = """\
flow: review
version: 3
status: live
purpose: review
trigger:
  on: shipment.delivered
  once_per: order
  where: order.total >= 100
exit_on: [order.refunded]
steps:
  - wait: {days: 2, at: 10:00, clock: shop, not_on: [sat, sun]}
  - split:
      - when: customer.orders == 1
        steps:
          - send: {message: ask-first, priority: 60, expires: 36h}
      - otherwise:
          - wait: 12h
          - send: {message: ask, purpose: marketing}
  - wait: 1d
"""
MESSAGES = ["ask", "ask-first"]


def test_a_good_flow() -> None:
    """Every word of the language arrives in the model, and steps follow each other out of a split."""
    flow = parse_flow(GOOD, MESSAGES, "review")
    assert isinstance(flow, Flow)
    assert (flow.name, flow.version, flow.status, flow.exit_on) == ("review", 3, "live", ("order.refunded",))
    wait, split, last = flow.steps
    assert wait == Wait(path="0", days=2, at=time(10), clock="shop", not_on=frozenset({5, 6}))
    assert isinstance(split, Split)
    assert split.branches[0].steps == (
        Send(path="1.0.0", message="ask-first", purpose="review", priority=60, expires=timedelta(hours=36)),
    )
    assert split.branches[1].steps[1] == Send(path="1.1.1", message="ask", purpose="marketing")
    assert last == Wait(path="2", days=1)
    compiled = CompiledFlow(flow)
    assert compiled.first == "0"
    assert compiled.next_step == {"0": "1", "1": "2", "1.0.0": "2", "1.1.0": "1.1.1", "1.1.1": "2", "2": None}


@pytest.mark.parametrize(
    ("old", "new", "where", "problem", "remedy"),
    [
        ("version: 3", "verison: 3", (2, 1), "unknown key 'verison'", "did you mean 'version'?"),
        ("version: 3\n", "", (1, 1), "'version' is missing", "add version"),
        ("version: 3", "version: three", (2, 10), "not a whole number", "for example 1"),
        ("status: live", "status: alive", (3, 9), "unknown status 'alive'", "did you mean 'live'?"),
        ("purpose: review\n", "purpose: reviews\n", (4, 10), "unknown purpose 'reviews'", "did you mean 'review'?"),
        (
            "on: shipment.delivered",
            "on: shipment.deliverd",
            (6, 7),
            "unknown trigger",
            "did you mean 'shipment.delivered'?",
        ),
        ("once_per: order", "once_per: basket", (7, 13), "unknown once_per 'basket'", "known: order, parcel"),
        ("order.total >= 100", "order.totl >= 100", (8, 10), "unknown name order.totl", "did you mean order.total?"),
        ("[order.refunded]", "[order.refund]", (9, 11), "unknown event", "did you mean 'order.refunded'?"),
        ("[order.refunded]", "order.refunded", (9, 10), "a list of events", "dash"),
        ("days: 2,", "days: -2,", (11, 18), "not a whole number", "for example 0"),
        ("at: 10:00", "at: 25:00", (11, 25), "not a time of day", "10:00"),
        ("clock: shop", "clock: show", (11, 39), "unknown clock 'show'", "did you mean 'shop'?"),
        ("[sat, sun]", "[sat, sunday]", (11, 59), "unknown weekday 'sunday'", "did you mean 'sun'?"),
        ("[sat, sun]", "[mon, tue, wed, thu, fri, sat, sun]", (11, 53), "every day of the week", "leave at least one"),
        (
            "{days: 2, at: 10:00, clock: shop, not_on: [sat, sun]}",
            "{clock: shop}",
            (11, 11),
            "needs a length",
            "days: 2",
        ),
        ("customer.orders == 1", "'custmer.orders == 1'", (13, 16), "unknown name custmer.orders", "customer.orders?"),
        (
            "message: ask-first",
            "message: ask-frist",
            (15, 29),
            "there is no message 'ask-frist'",
            "did you mean 'ask-first'?",
        ),
        ("expires: 36h", "expires: soon", (15, 63), "not a time span", "5d or 12h"),
        ("priority: 60", "priority: 600", (15, 50), "between 0 and 100", "for example 0"),
        ("- wait: 12h", "- sleep: 12h", (17, 13), "unknown key 'sleep'", "wait, wait_for, split"),
        ("- wait: 1d", "- wait: 1d\n    send: {message: ask}", (19, 5), "a step does one thing", "one item"),
        ("flow: review", "flow: reviews", (1, 7), "lies in the folder 'review'", "flow: review"),
        ("flow: review", "flow: Review!", (1, 7), "is no name for a flow", "small letters"),
        ("version: 3", "version: [3", (3, 7), "this is no YAML", "indentation"),
        ("exit_on: [order.refunded]", "exit_on: &a [*a]", (9, 14), "aliases", "write it out"),
        ("version: 3", "version: 3\nversion: 4", (3, 1), "there twice", "keep one"),
    ],
)
def test_what_is_wrong(old: str, new: str, where: tuple[int, int], problem: str, remedy: str) -> None:
    """One mistake gives one error, at its place, with what would be right."""
    assert old in GOOD
    errors = parse_flow(GOOD.replace(old, new, 1), MESSAGES, "review")
    assert isinstance(errors, list)
    assert len(errors) == 1, errors
    assert problem in errors[0].problem
    assert remedy in errors[0].remedy
    assert (errors[0].line, errors[0].column) == where


@pytest.mark.parametrize("text", ["", "[]", "just words", "a: [", "\x00", "flow: {}", "steps: 5\ntrigger: []"])
def test_nonsense(text: str) -> None:
    """What is no flow at all is refused with words too."""
    errors = parse_flow(text, [], "x")
    assert isinstance(errors, list)
    assert errors


def test_arms() -> None:
    """Nothing may come after otherwise, and an arm is one thing or the other."""
    text = GOOD.replace(
        "      - otherwise:",
        "      - otherwise: [{send: {message: ask}}]\n      - when: customer.is_vip\n        steps:",
    )
    errors = parse_flow(text, MESSAGES, "review")
    assert isinstance(errors, list)
    assert [error.problem for error in errors] == ["the arms after otherwise can never be reached"]
    no_parcel = GOOD.replace("shipment.delivered", "order.placed").replace("once_per: order", "once_per: parcel")
    errors = parse_flow(no_parcel, MESSAGES, "review")
    assert isinstance(errors, list)
    assert errors[0].problem == "order.placed knows no parcel"
