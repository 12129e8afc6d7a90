"""Words of conditions and messages: places, weekdays and months, important dates, the shop, and the round of a repetition."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from streams.core.conditions.postal_codes import number_of
from streams.core.rules.ruleset import Shop
from streams.core.sending.content import complete, template_data
from tests.harness.driver import START, Driver
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of, run_of, sent, update_profile

IF = 'trigger: {{on: order.placed}}\nsteps:\n  - split: [{{when: "{}", steps: [{{send: {{message: a}}}}]}}]\n'


def takes(condition: str, profile: dict[str, Any] | None = None, **changes: Any) -> bool:
    """Whether a customer with this profile and order meets a condition."""
    run = run_of(IF.format(condition))
    update_profile(run, **(profile or {}))
    buy(run, **changes)
    return bool(sent(run))


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("8000", 8000), (" 111 20 ", 11120), ("1012 AB", 1012), ("DK-8000", 8000), ("00-950", 950), ("12345-6789", 12345),
        ("1000-001", 1000), ("SW1A 1AA", 0), ("B12 3CD", 0), ("", 0),
    ],
)  # fmt: skip
def test_numbers_of_postal_codes(code: str, number: int) -> None:
    """The number of a postal code is the one at its start."""
    assert number_of(code) == number


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ("8000 <= customer.postal_code <= 8270", True),
        ("customer.postal_code > 8200", False),
        ("customer.postal_code == '8200'", True),
        ("customer.postal_code in [8200, 9000]", True),
        ("customer.postal_code in ['8000']", False),
        ("starts_with(customer.postal_code, '81', '82')", True),
        ("starts_with(customer.postal_code, '83')", False),
        ("starts_with(customer.city, 'aar')", True),
        ("starts_with(customer.attributes.size, 'X') or customer.postal_code == customer.city", False),
    ],
)
def test_postal_codes(condition: str, is_met: bool) -> None:
    """A condition compares a postal code with a range, with beginnings, and as a text."""
    assert takes(condition, {"postal_code": "8200", "city": "Aarhus N"}) == is_met


@pytest.mark.parametrize(
    ("zone", "condition", "is_met"),
    [
        ("Europe/Copenhagen", "order.weekday == 'mon' and order.month == 3 and order.hour == 10", True),
        ("Europe/Copenhagen", "today.weekday in ['sat', 'sun'] or today.month == 12", False),
        ("Australia/Lord_Howe", "order.hour >= 19 and today.hour >= 19", True),
    ],
)
def test_days_of_orders(zone: str, condition: str, is_met: bool) -> None:
    """The weekday, the month and the hour of an order and of the present are those of the customer's clock."""
    assert START.isoformat() == "2026-03-02T09:00:00+00:00"
    assert takes(condition, {"time_zone": zone}) == is_met


def test_today_is_the_day_of_the_step() -> None:
    """`today` changes while the flow waits, and the day of the order does not."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n  - wait: 5d\n"
        "  - split: [{when: order.weekday == 'mon' and today.weekday == 'sat', steps: [{send: {message: a}}]}]\n"
    )
    buy(run)
    run.advance(6 * DAY)
    assert sent(run) == [("a", 5)]


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ("'wedding' in customer.dates", True),
        ("'jubilee' in customer.dates", False),
        ("customer.dates.wedding == '2001-03-12' and customer.dates.jubilee == ''", True),
        ("customer.days_until('wedding') == 10", True),
        ("customer.days_until('birthday') == 0", True),
        ("customer.days_until('jubilee') > 400", True),
    ],
)
def test_dates(condition: str, is_met: bool) -> None:
    """Conditions know which important dates a customer has, and the days until they come again."""
    profile = {"dates": (("wedding", date(2001, 3, 12)),), "birthday": date(1980, 3, 2)}
    assert takes(condition, profile) == is_met


def test_a_date_moves_customers_between_segments() -> None:
    """A segment by the days until a date is entered and left as time passes, every year."""
    body = "trigger: {on: segment.entered, segment: soon, again_after: 30d}\nsteps: [{send: {message: a}}]\n"
    run = Driver(ruleset_of(flow_text(body), segments="soon: customer.days_until('wedding') <= 14"))
    update_profile(run, dates=(("wedding", date(2001, 6, 1)),), time_zone="Europe/Copenhagen")
    buy(run)
    run.advance(2 * 366 * DAY)
    started = [(START + timedelta(days=days)).date() for _, days in sent(run)]
    assert started == [date(2026, 5, 17), date(2027, 5, 17)]


@pytest.mark.parametrize(
    ("day", "condition"),
    [
        (date(2027, 3, 2), "customer.days_until('day') == 365"),
        (date(2028, 2, 29), "customer.days_until('day') == 729"),
        (date(9999, 12, 31), "customer.days_until('day') == 100000"),
        (date(1604, 3, 12), "customer.days_until('day') == 10 and customer.dates.day == '--03-12'"),
    ],
)
def test_days_until_a_date_to_come(day: date, condition: str) -> None:
    """A date that is still to come comes first in its own year. One without a year is written without one."""
    assert takes(condition, {"dates": (("day", day),)})


def test_a_date_to_come_starts_flows_in_its_own_year() -> None:
    """Next year's wedding starts no flow this year, and moves the customer into no segment."""
    by_date = flow_text("trigger: {on: customer.date, date: wedding, before: 14d}\nsteps: [{send: {message: a}}]\n")
    by_segment = flow_text("trigger: {on: segment.entered, segment: soon}\nsteps: [{send: {message: b}}]\n", name="g")
    run = Driver(ruleset_of(by_date, by_segment, segments="soon: customer.days_until('wedding') <= 20"))
    update_profile(run, dates=(("wedding", date(2027, 6, 1)),), time_zone="Europe/Copenhagen")
    buy(run)
    run.advance(3 * 366 * DAY)
    started = [(message, (START + timedelta(days=days)).date()) for message, days in sent(run)]
    assert started == [("b", date(2027, 5, 11)), ("a", date(2027, 5, 17)), ("a", date(2028, 5, 17))]


def test_the_shop() -> None:
    """Conditions and messages know the country, the currency and the locale of the shop."""
    body = IF.format("shop.country == 'SE' and shop.currency == 'SEK' and shop.locale != 'da'")
    run = run_of(body, shop=Shop(country="SE", currency="SEK", locale="sv"))
    buy(run)
    data = template_data(run.mails()[0].content)
    assert data["shop"] == {"country": "SE", "currency": "SEK", "locale": "sv"}
    earlier: dict[str, Any] = {"order": {"lines": [], "adjustments": []}}
    complete(earlier)
    assert (earlier["shop"]["country"], earlier["order"]["is_paid"], earlier["order"]["weekday"]) == ("", False, "")


def test_messages_know_the_day_and_the_state_of_the_order() -> None:
    """A message knows the local weekday, month and hour of its order, and whether it is paid."""
    run = run_of("trigger: {on: order.placed}\nsteps: [{wait: 1h}, {send: {message: a}}]")
    buy(run)
    run.advance(2 * HOUR)
    order = template_data(run.mails()[0].content)["order"]
    assert (order["weekday"], order["month"], order["hour"]) == ("mon", 3, 10)
    assert (order["is_paid"], order["is_refunded"], order["is_cancelled"]) == (False, False, False)


ROUNDS = """trigger: {on: order.placed}
steps:
  - repeat:
      times: 3
      every: 2d
      steps:
        - split:
            - when: repeat.round == repeat.rounds
              steps: [{send: {message: b}}]
            - otherwise: [{send: {message: a}}]
        - set: {name: last, from: repeat.round}
        - add: {name: sum, from: repeat.round}
  - send: {message: c}
"""


def test_rounds() -> None:
    """The steps and the messages of a repetition know its round, and other messages have none."""
    run = run_of(ROUNDS)
    buy(run)
    run.advance(9 * DAY)
    assert sent(run) == [("a", 0), ("a", 2), ("b", 4), ("c", 4)]
    rounds = [template_data(mail.content).get("repeat") for mail in run.mails()]
    assert rounds == [{"round": number, "rounds": 3} for number in (1, 2, 3)] + [None]
    assert run.customers["c1"].fields == (("last", "3"), ("sum", "6"))
