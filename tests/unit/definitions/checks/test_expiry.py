"""Emails that can expire in the quiet hours."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow
from streams.core.rules.sending_rules import NO_RULES, Cap, QuietHours, SendingRules
from streams.definitions.checks.expiry import check_expiry
from streams.definitions.language.flow import parse_flow

NIGHTS = QuietHours(begins=time(21), ends=time(8))
SUNDAYS = QuietHours(begins=time(21), ends=time(8), days=frozenset((6,)))
WEEKENDS = QuietHours(begins=time(21), ends=time(8), days=frozenset((5, 6)))
LUNCH = QuietHours(begins=time(12), ends=time(13))


def ids(steps: str, rules: SendingRules, purpose: str = "marketing") -> list[str]:
    """The paths and the ids of the warnings about a flow."""
    text = f"flow: f\nversion: 1\nstatus: live\npurpose: {purpose}\ntrigger: {{on: order.placed}}\nsteps: [{steps}]"
    flow = parse_flow(text, ["a"], "f")
    assert isinstance(flow, Flow), flow
    return [f"{problem.location.part} {problem.id}" for problem in check_expiry(CompiledFlow(flow), rules)]


@pytest.mark.parametrize(
    ("steps", "quiet", "found"),
    [
        ("{wait: 2d}, {send: {message: a, expires: 6h}}", NIGHTS, ["1 flow.W009"]),
        ("{send: {message: a, expires: 6h}}", NIGHTS, ["0 flow.W009"]),
        ("{send: {message: a, expires: 11h}}", NIGHTS, []),
        ("{send: {message: a, expires: 6h}}", LUNCH, []),
        ("{send: {message: a, expires: 30m}}", LUNCH, ["0 flow.W009"]),
        ("{wait: {days: 2, at: '10:00'}}, {send: {message: a, expires: 2h}}", NIGHTS, []),
        ("{wait: {days: 2, at: '22:00'}}, {send: {message: a, expires: 2h}}", NIGHTS, []),  # the wait reports it
        ("{wait: {days: 2, at: '22:00'}}, {send: {message: a, expires: 1d}}", NIGHTS, []),
        ("{wait: {days: 2, at: '10:00', clock: shop}}, {send: {message: a, expires: 2h}}", NIGHTS, ["1 flow.W009"]),
        ("{wait: {days: 2, at: '10:00'}}, {send: {message: a, expires: 12h}}", SUNDAYS, ["1 flow.W009"]),
        ("{wait: {days: 2, at: '10:00', not_on: [sun]}}, {send: {message: a, expires: 12h}}", SUNDAYS, []),
        ("{send: {message: a, expires: 34h}}", SUNDAYS, ["0 flow.W009"]),
        ("{send: {message: a, expires: 35h}}", SUNDAYS, []),
        ("{send: {message: a, expires: 58h}}", WEEKENDS, ["0 flow.W009"]),
        ("{send: {message: a, expires: 59h}}", WEEKENDS, []),
    ],
)  # fmt: skip
def test_quiet_hours(steps: str, quiet: QuietHours, found: list[str]) -> None:
    """An email that can expire before the quiet hours end is a warning, unless it is due at a time that is not one of them."""
    assert ids(steps, SendingRules(quiet=quiet)) == found
    assert ids(steps, NO_RULES) == []


def test_transactional_emails_have_no_quiet_hours() -> None:
    """An email about an order is sent at night."""
    assert ids("{send: {message: a, expires: 1h}}", SendingRules(quiet=NIGHTS), "order") == []


@pytest.mark.parametrize(
    ("steps", "caps", "found"),
    [
        ("{send: {message: a}}, {wait: 1d}, {send: {message: a}}", "1/7", ["2 flow.W010"]),
        ("{send: {message: a}}, {wait: 2d}, {send: {message: a}}", "1/7", []),
        ("{send: {message: a}}, {wait: 1d}, {send: {message: a}}", "2/7", []),
        ("{send: {message: a}}, {send: {message: a}}, {wait: 1d}, {send: {message: a}}", "2/7", ["3 flow.W010"]),
        ("{send: {message: a}}, {wait: {days: 1, at: '10:00'}}, {send: {message: a}}", "1/7", []),
        ("{send: {message: a}}, {split: [{when: customer.is_vip, steps: [{send: {message: a}}]}]}", "1/7", ["1.0.0 flow.W010"]),
        ("{send: {message: a}}, {split: [{when: customer.is_vip, steps: [{wait: 9d}]}]}, {send: {message: a}}", "1/7", []),
        ("{send: {message: a}}, {wait_for: {event: mail.opened, up_to: 1d, then: [{send: {message: a}}]}}", "1/7", ["1.0.0 flow.W010"]),
        ("{send: {message: a}}, {wait_for: {event: mail.opened, up_to: 3d, then: [{send: {message: a}}]}}", "1/7", []),
        ("{send: {message: a, purpose: review}}, {send: {message: a}}", "1/7", ["1 flow.W010"]),
        ("{send: {message: a, purpose: review}}, {send: {message: a}}", "1/7 marketing", []),
    ],
)  # fmt: skip
def test_earlier_emails_of_the_flow(steps: str, caps: str, found: list[str]) -> None:
    """An email that is due while an earlier one of its flow fills a cap, and expires before that ends, is a warning."""
    number, _, purpose = caps.partition(" ")
    most, _, days = number.partition("/")
    cap = Cap(most=int(most), per=timedelta(days=int(days)), purposes=(purpose,) if purpose else ())
    assert ids(steps, SendingRules(caps=(cap,))) == found


@given(st.integers(0, 23), st.integers(1, 23), st.sets(st.integers(0, 6), max_size=5), st.integers(1, 200))
def test_no_warning_beyond_the_longest_pause(begins: int, length: int, days: set[int], hours: int) -> None:
    """A warning is given exactly if some hour of the week is followed by more quiet time than the email may wait."""
    quiet = QuietHours(begins=time(begins), ends=time((begins + length) % 24), days=frozenset(days))

    def is_quiet(hour: int) -> bool:
        return hour // 24 % 7 in days or (hour - begins) % 24 < length

    longest = max(next(passed for passed in range(400) if not is_quiet(start + passed)) for start in range(168))
    found = ids(f"{{send: {{message: a, expires: {hours}h}}}}", SendingRules(quiet=quiet))
    assert (found == ["0 flow.W009"]) is (timedelta(hours=hours) < timedelta(hours=longest))
