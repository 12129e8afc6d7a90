"""The data that templates get from flows: the customer, the event, the reward and the product."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from streams.core.model.events import ProductBrowsed, SurveyAnswered
from streams.core.sending.content import complete, template_data
from streams.core.values.local_time import text_of
from tests.harness.driver import START
from tests.harness.flow_texts import DAY, answer_survey, buy, run_of, update_profile


def test_the_customer() -> None:
    """A template knows the customer's orders, spend, fields and dates."""
    run = run_of(
        "trigger: {on: order.placed}\n"
        "steps: [{set: {name: tier, value: gold}}, {add: {name: points, value: 5, expires: 9d}}, {wait: 1d}, {send: {message: a}}]"
    )
    update_profile(run, dates=(("wedding", date(2027, 5, 30)),))
    buy(run)
    buy(run, "o2")
    run.advance(2 * DAY)
    customer = template_data(run.mails()[0].content)["customer"]
    assert (customer["id"], customer["orders"], customer["spend"]) == ("c1", 2, {"minor": 1000_00, "currency": "DKK"})
    assert customer["fields"] == {"tier": "gold", "points": "10"}
    assert customer["dates"] == {"wedding": "2027-05-30"}


@pytest.mark.parametrize(("number", "shown"), [(9_000, 9), (8_500, 8.5), (None, 0)])
def test_the_event(number: int | None, shown: float) -> None:
    """A template knows the answer that started its flow, and a number as a number."""
    run = run_of("trigger: {on: survey.answered}\nsteps: [{send: {message: a}}]", purpose="marketing")
    buy(run)
    answered = SurveyAnswered(
        customer_id="c1",
        send_id=None,
        question="nps",
        answer="fine",
        occurred_at=run.now,
        number_thousandths=number,
    )
    run.handle(answered)
    event = template_data(run.mails()[0].content)["event"]
    assert (event["question"], event["answer"], event["number"], event["stars"]) == ("nps", "fine", shown, 0)


def test_the_awaited_event() -> None:
    """Within `wait_for`, a template knows the awaited answer."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n"
        "  - wait_for: {event: survey.answered, up_to: 9d, then: [{send: {message: a}}]}"
    )
    buy(run)
    answer_survey(run, "no")
    assert template_data(run.mails()[0].content)["event"]["answer"] == "no"


def test_the_reward() -> None:
    """A template and the conditions know the name of the reward, and when its code ends."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n  - reward: {name: ten, expires: 30d}\n  - wait: 25d\n"
        "  - split: [{when: reward.days_left == 5 and reward.name == 'ten', steps: [{send: {message: a}}]}]\n",
        purpose="marketing",
    )
    buy(run)
    run.advance(26 * DAY)
    reward = template_data(run.mails()[0].content)["reward"]
    assert (reward["name"], reward["ends_at"]) == ("ten", text_of(START + 30 * DAY))


def test_the_product_of_a_view() -> None:
    """The product of a flow about a view has its SKU, and is empty otherwise."""
    run = run_of("trigger: {on: product.viewed}\nsteps: [{send: {message: a}}]", purpose="marketing")
    buy(run)
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s9", occurred_at=run.now))
    product = template_data(run.mails()[0].content)["product"]
    assert (product["sku"], product["title"], product["price"], product["url"]) == ("s9", "s9", None, None)


def test_commands_of_earlier_versions() -> None:
    """A command that an earlier version wrote gets the new names with empty values."""
    data: dict[str, Any] = {"customer": {"purchases": 3}, "reward": {"code": "X"}}
    complete(data)
    assert (data["customer"]["orders"], data["reward"]) == (3, {"code": "X", "name": "", "ends_at": None})
