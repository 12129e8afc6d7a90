"""Sending rules: caps, quiet hours, pauses, priorities and consent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.core.model.effects import LogDecision, WithdrawMail
from streams.core.model.events import (
    MailComplained,
    OrderPaid,
    OrderRefunded,
)
from streams.definitions.language.rules import MOST_TOGETHER
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import (
    DAY,
    HOUR,
    buy,
    flow_text,
    ruleset_of,
    run_of,
    sent,
    unsubscribe,
    update_profile,
)

SEND = "steps: [{send: {message: a}}]"


CAPPED = "caps: [{most: 1, per: 7d}]"


def run_of_flows(*steps: str, rules: str = CAPPED) -> Driver:
    """A driver with flows f0, f1 and so on, which start with an order."""
    texts = [
        flow_text("trigger: {on: order.placed}\nsteps: " + one, name=f"f{n}", purpose="marketing")
        for n, one in enumerate(steps)
    ]
    return Driver(ruleset_of(*texts, rules=rules))


def test_cap() -> None:
    """Emails over a cap are deferred. The highest priority goes first, and an email that expires is dropped."""
    run = run_of_flows(
        "[{send: {message: a, priority: 50, expires: 30d}}]",
        "[{send: {message: b, priority: 10, expires: 30d}}]",
        "[{send: {message: c, priority: 90, expires: 30d}}]",
        "[{send: {message: a, priority: 40, expires: 3d}}]",
    )
    buy(run)
    run.advance(40 * DAY)
    assert sent(run) == [("c", 0), ("a", 7), ("b", 14)]
    assert ("f3", "skip", "cap") in run.decisions()
    assert {("f0", "defer", "cap"), ("f1", "defer", "cap")} <= set(run.decisions())


@pytest.mark.parametrize(("purpose", "days"), [("marketing", 2), ("review", 1)])
def test_priority(purpose: str, days: int) -> None:
    """Of two emails that are due together the higher priority goes first, unless it lacks consent."""
    urgent = "trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: %s, priority: %d}}]"
    flows = [("a", 10, "marketing"), ("b", 90, purpose), ("c", 5, "marketing")]
    ruleset = ruleset_of(
        *[flow_text(urgent % (text, rank), name=text, purpose=kind) for text, rank, kind in flows],
        rules="caps: [{most: 1, per: 1d}]",
    )
    run = Driver(ruleset)
    buy(run, country="DE")  # where reviews need a yes of their own
    run.advance(9 * DAY)
    assert sent(run) == ([("b", 1)] if days == 2 else []) + [("a", days), ("c", days + 1)]


def test_priority_at_first_attempt() -> None:
    """Priority also decides between emails that are due for the first time, in any order of their timers."""
    head = 'trigger: {on: order.placed}\nsteps: [{wait: {days: 1, at: "10:00"}}, {send: {message: %s, priority: %s, expires: 2d}}]'
    for number in range(8):
        low = flow_text(head % ("a", 10), name=f"low{number}", purpose="marketing")
        for purpose, mails in (("marketing", [("b", 1)]), ("survey", [("a", 1.001)])):
            run = Driver(ruleset_of(low, flow_text(head % ("b", 90), name="high", purpose=purpose), rules=CAPPED))
            update_profile(run, survey_consent=False)
            buy(run)
            run.advance(9 * DAY)
            assert [(message, at) for message, at in sent(run)] in (mails, [(mails[0][0], 1)])


def test_transactional_emails_are_not_capped() -> None:
    """Transactional emails are not capped, and do not count."""
    ruleset = ruleset_of(
        flow_text(f"trigger: {{on: order.placed}}\n{SEND}", name="receipt"),
        flow_text(
            "trigger: {on: order.placed, once_per: customer}\nsteps: [{wait: 1h}, {send: {message: b}}]",
            name="more",
            purpose="marketing",
        ),
        rules=CAPPED,
    )
    run = Driver(ruleset)
    for number in range(3):
        buy(run, f"o{number}")
    run.advance(DAY)
    assert run.messages() == ["a", "a", "a", "b"]


def test_cap_with_many_transactional_emails() -> None:
    """Capped emails stay remembered behind many transactional ones."""
    ruleset = ruleset_of(
        flow_text(f"trigger: {{on: order.placed}}\n{SEND}", name="receipt"),
        flow_text(
            "trigger: {on: order.placed, once_per: customer, again_after: 1h}\nsteps: [{send: {message: b, expires: 1h}}]",
            name="more",
            purpose="marketing",
        ),
        rules="caps: [{most: 2, per: 30d}]",
    )
    run = Driver(ruleset)
    for number in range(60):
        buy(run, f"o{number}")
        run.advance(12 * HOUR)
    assert [at for message, at in sent(run) if message == "b"] == [0, 0.5]
    assert len(run.customers["c1"].sends) == ruleset.limits.sends > MOST_TOGETHER


def test_quiet_hours() -> None:
    """Quiet hours are in the time zone of the customer."""
    rules = 'quiet_hours: {from: "21:00", to: "08:00"}'
    for zone, hours in (("Europe/Copenhagen", 22), ("Asia/Tokyo", 18)):
        run = run_of(
            "trigger: {on: order.placed}\nsteps: [{wait: 18h}, {send: {message: a}}]", purpose="marketing", rules=rules
        )
        buy(run, time_zone=zone)
        run.advance(3 * DAY)
        assert sent(run) == [("a", round(hours / 24, 3))]


def test_late_orders_and_refunds() -> None:
    """Emails are deferred while an order is late, and for a time after a refund."""
    rules = "calm: {while_late: true, after_refund: 5d}"
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a, expires: 20d}}]",
        purpose="marketing",
        rules=rules,
    )
    buy(run)
    run.handle(shipment("o1", "delayed", run.now))
    run.advance(4 * DAY + HOUR)
    assert run.mails() == []
    run.handle(shipment("o1", "delivered", run.now))
    run.advance(DAY)
    assert sent(run) == [("a", 5)]
    buy(run, "o2")
    run.handle(OrderRefunded(order("o1", START), run.now))
    run.advance(10 * DAY)
    assert [round(days, 2) for _, days in sent(run)] == [5, round(5 + 1 / 24 + 5, 2)]


@pytest.mark.parametrize("status", ["delayed", "exception"])
@pytest.mark.parametrize("arrived", ["delivered", "ready_for_pickup"])
def test_an_order_is_late_until_it_arrives(status: Any, arrived: Any) -> None:
    """A parcel that was held up and is on its way again has not arrived."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a, expires: 20d}}]",
        purpose="marketing",
        rules="calm: {while_late: true}",
    )
    buy(run)
    run.handle(shipment("o1", status, run.now))
    run.advance(1.5 * DAY)
    run.handle(shipment("o1", "in_transit", run.now))
    run.advance(2 * DAY)
    run.handle(shipment("o1", "out_for_delivery", run.now))
    run.advance(DAY)
    assert run.mails() == []
    run.handle(shipment("o1", arrived, run.now))
    run.advance(DAY)
    assert [name for name, _ in sent(run)] == ["a"]


@pytest.mark.parametrize("day", [DAY, timedelta(minutes=1)])
def test_parcel_without_delivery(day: timedelta) -> None:
    """A parcel that is never delivered counts as late for two weeks."""
    body = "trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a, expires: 60d}}]"
    run = run_of(body, purpose="marketing", rules="calm: {while_late: true}", day_scale=day / DAY)
    buy(run)
    run.handle(shipment("o1", "delayed", run.now))
    run.advance(40 * day)
    ((_, _, rule),) = [decision for decision in run.decisions() if decision[1] == "send"]
    assert rule == "soft_opt_in"
    (at,) = [
        effect.decided_at for effect in run.effects if isinstance(effect, LogDecision) and effect.outcome == "send"
    ]
    assert (at - START) / day == pytest.approx(14, abs=0.01)


def test_not_with() -> None:
    """Emails wait while a flow in `not_with` runs, also if both start with the same event."""
    offer = "trigger: {on: order.placed}\nnot_with: [welcome]\nsteps: [{send: {message: b, expires: 9d}}]"
    welcome = "trigger: {on: order.placed}\nsteps: [{wait: 3d}, {send: {message: a}}]"
    run = Driver(
        ruleset_of(
            flow_text(offer, name="offer", purpose="marketing"), flow_text(welcome, name="welcome", purpose="marketing")
        )
    )
    buy(run)
    run.advance(9 * DAY)
    assert run.messages() == ["a", "b"]
    assert ("offer", "defer", "clash") in run.decisions()


ANSWER = "wait_for: {event: survey.answered, up_to: 9d"


@pytest.mark.parametrize(
    ("rest", "sent_on"),
    [
        ("{" + ANSWER + "}}", 0),
        ("{" + ANSWER + ", then: [{set: {name: x, value: y}}], otherwise: [{wait: 2d}]}}", 0),
        ("{wait: 9d}, {add_to_list: x}", 0),
        ("{" + ANSWER + ", then: [{send: {message: c}}]}}", 10),
        ("{" + ANSWER + "}}, {send: {message: c}}", 10),
        ("{wait: 9d}, {split: [{when: customer.orders > 5, steps: [{send: {message: c}}]}]}", 10),
    ],
)
def test_not_with_a_flow_that_only_waits(rest: str, sent_on: int) -> None:
    """A flow in `not_with` holds emails back as long as it may send one on any path, not while it only waits for an answer."""
    offer = "trigger: {on: order.placed}\nnot_with: [welcome]\nsteps: [{send: {message: b, expires: 20d}}]"
    welcome = f"trigger: {{on: order.placed}}\nsteps: [{{send: {{message: a}}}}, {rest}]"
    run = Driver(
        ruleset_of(
            flow_text(offer, name="offer", purpose="marketing"), flow_text(welcome, name="welcome", purpose="marketing")
        )
    )
    buy(run)
    run.advance(20 * DAY)
    days = dict(sent(run))
    assert (days["a"], round(days["b"] / 10) * 10) == (0, sent_on)


def test_not_with_a_flow_that_migrates() -> None:
    """An instance that a migration moves to a step before an email holds emails back, although its own version sends nothing more."""
    old = "trigger: {on: order.placed}\nsteps: [{send: {message: a}}, {wait: 5d}, {add_to_list: x}]"
    new = old.replace("{add_to_list: x}", "{add_to_list: x}, {send: {message: c}}")
    new += '\nmigrations: [{from: 1, steps: {"2": "2"}}]'
    offer = "trigger: {on: order.paid}\nnot_with: [welcome]\nsteps: [{send: {message: b, expires: 20d}}]"
    texts = [
        flow_text(old, name="welcome", purpose="marketing"),
        flow_text(new, name="welcome", purpose="marketing").replace("version: 1", "version: 2"),
        flow_text(offer, name="offer", purpose="marketing"),
    ]
    run = Driver(ruleset_of(texts[0], texts[2]))
    buy(run)
    run.ruleset = ruleset_of(*texts)
    run.handle(OrderPaid(order("o1", START), run.now))
    run.advance(20 * DAY)
    assert run.messages() == ["a", "c", "b"]


def test_not_with_a_draft() -> None:
    """A draft in `not_with` does not hold emails back."""
    draft = flow_text("trigger: {on: order.placed}\nsteps: [{wait: 3d}, {send: {message: a}}]", "welcome", "draft")
    offer = f"trigger: {{on: order.placed}}\nnot_with: [welcome]\n{SEND}"
    run = Driver(ruleset_of(draft, flow_text(offer, name="offer", purpose="marketing")))
    buy(run)
    assert sent(run) == [("a", 0)]


@pytest.mark.parametrize(("lasts", "messages"), [("11h", ["a", "b"]), ("13h", ["a"])])
def test_last_attempt(lasts: str, messages: list[str]) -> None:
    """A deferred email is decided again shortly before it expires."""
    offer = "trigger: {on: order.placed}\nnot_with: [welcome]\nsteps: [{send: {message: b, expires: 12h}}]"
    welcome = f"trigger: {{on: order.placed}}\nsteps: [{{wait: {lasts}}}, {{send: {{message: a}}}}]"
    run = Driver(
        ruleset_of(
            flow_text(offer, name="offer", purpose="marketing"), flow_text(welcome, name="welcome", purpose="marketing")
        )
    )
    buy(run)
    run.advance(9 * DAY)
    assert run.messages() == messages
    assert (("offer", "skip", "clash") in run.decisions()) is (lasts == "13h")


def test_not_before() -> None:
    """An email with `not_before` waits for that day, in the time zone of the customer."""
    run = run_of("trigger: {on: order.placed}\nsteps: [{send: {message: a, not_before: 2026-03-05, expires: 9d}}]")
    buy(run)
    run.advance(9 * DAY)
    assert sent(run) == [("a", round(3 - 10 / 24, 3))]


def test_expires_counts_from_not_before() -> None:
    """`expires` counts from `not_before`, and until then the email takes no place under a cap."""
    send = "{send: {message: %s, not_before: 2026-04-01, expires: 2d, priority: %d}}"
    run = run_of_flows(
        f"[{send % ('a', 90)}]", f"[{send % ('b', 50)}]", "[{send: {message: c, expires: 40d, priority: 60}}]",
        rules="caps: [{most: 1, per: 1d}]",
    )  # fmt: skip
    buy(run)
    run.advance(60 * DAY)
    first = round(30 - 11 / 24, 3)  # by then the clock has changed
    assert sent(run) == [("c", 0), ("a", first), ("b", first + 1)]


def test_unsubscribe_while_deferred() -> None:
    """A deferred email is decided again by all rules, consent included."""
    run = run_of_flows("[{send: {message: a, expires: 30d}}]", "[{send: {message: b, expires: 30d}}]")
    buy(run)
    run.advance(DAY)
    unsubscribe(run)
    run.advance(20 * DAY)
    assert run.messages() == ["a"]
    assert ("f1", "skip", "unsubscribed") in run.decisions()


@pytest.mark.parametrize(
    ("is_reported", "forbids"),
    [
        (False, lambda run: unsubscribe(run)),
        (False, lambda run: update_profile(run, marketing_consent=False)),
        (
            False,
            lambda run: run.handle(
                MailComplained(customer_id="c1", send_id=run.mails()[0].send_id, occurred_at=run.now)
            ),
        ),
        (True, lambda run: unsubscribe(run)),
    ],
)
def test_withdrawals(is_reported: bool, forbids: Callable[[Driver], None]) -> None:
    """Marketing emails that were commanded but not reported as sent are withdrawn once when consent ends."""
    flows = [
        flow_text(f"trigger: {{on: order.placed}}\n{SEND}", name=name, purpose=name) for name in ("marketing", "order")
    ]
    run = Driver(ruleset_of(*flows), is_reporting=is_reported)
    buy(run)
    forbids(run)
    forbids(run)
    withdrawn = [effect.send_id for effect in run.effects if isinstance(effect, WithdrawMail)]
    assert withdrawn == ([] if is_reported else [mail.send_id for mail in run.mails() if mail.purpose == "marketing"])


def test_repeated_profile() -> None:
    """A profile that repeats a withdrawn consent withdraws nothing again."""
    run = Driver(
        ruleset_of(flow_text(f"trigger: {{on: order.placed}}\n{SEND}", purpose="marketing")), is_reporting=False
    )
    buy(run)
    for _ in range(2):
        update_profile(run, marketing_consent=False, tracking_consent=False)
    assert len([effect for effect in run.effects if isinstance(effect, WithdrawMail)]) == 1


@pytest.mark.parametrize(("country", "day"), [("DK", 7), ("SE", 2), ("XX", 2)])
def test_public_holidays(country: str, day: int) -> None:
    """Emails wait over public holidays of the customer's country and excluded weekdays."""
    rules = "quiet_hours: {from: '21:00', to: '08:00', not_on: [sat], holidays: true}"
    run = run_of(
        f"trigger: {{on: order.placed}}\n{SEND.replace('a}', 'a, expires: 9d}')}", purpose="marketing", rules=rules
    )
    run.advance_to(datetime(2026, 4, 2, 12, tzinfo=UTC))
    update_profile(run, country=country, email="a@example.com", marketing_consent=True)
    buy(run, country=country, ship_country=country)
    run.advance(9 * DAY)
    (decision,) = [effect for effect in run.effects if isinstance(effect, LogDecision) and effect.outcome == "send"]
    assert (decision.decided_at.month, decision.decided_at.day) == (4, day)
