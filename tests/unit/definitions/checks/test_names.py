"""Every name of conditions and of templates, over the triggers of flows: where it is known, and what the checks say where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from streams.core.conditions.names import EVENT_DATA, NAMES, ROUND_NAMES
from streams.core.rules.flow import Flow, Send
from streams.definitions.checks.sample_data import template_sample
from streams.definitions.language.flow import parse_flow

#: Triggers, each with the groups of names that its flows have beside `customer` and `field`.
TRIGGERS: Mapping[str, set[str]] = {
    "{on: order.placed}": {"order"},
    "{on: order.placed, once_per: customer}": {"order"},
    "{on: order.placed, once_per: product}": {"order", "product"},
    "{on: shipment.delivered}": {"order", "shipment"},
    "{on: shipment.shipped, once_per: parcel}": {"order", "shipment"},
    "{on: product.viewed}": {"product"},
    "{on: product.viewed, once_per: customer}": set(),
    "{on: product.launch}": {"product"},
    "{on: product.back_in_stock}": {"product"},
    "{on: product.price_dropped}": {"product"},
    "{on: product.replaced}": {"product"},
    "{on: review.written}": {"event"},
    "{on: survey.answered}": {"event"},
    "{on: mail.clicked}": {"event"},
    "{on: contest.entered}": {"event"},
    "{on: segment.entered, segment: vip}": {"event"},
    "{on: customer.birthday}": set(),
    "{on: reward.expiring, before: 7d}": {"reward"},
    "{on: profile.completed}": set(),
}
#: Names of a group that only some of its triggers have.
ONLY_WITH: Mapping[str, tuple[str, ...]] = {
    "product.is_coming": ("{on: product.viewed}", "{on: product.launch}"),
    "product.category": ("{on: order.placed, once_per: product}",),
    "product.quantity": ("{on: order.placed, once_per: product}",),
    "product.lasts_days": ("{on: order.placed, once_per: product}",),
    "product.price": ("{on: product.back_in_stock}", "{on: product.price_dropped}", "{on: product.replaced}"),
    "product.old_price": ("{on: product.price_dropped}",),
    "product.price_drop": ("{on: product.price_dropped}",),
    "product.price_drop_percent": ("{on: product.price_dropped}",),
    "product.replaces": ("{on: product.replaced}",),
    "event.flow": ("{on: survey.answered}", "{on: mail.clicked}"),
    "event.message": ("{on: survey.answered}", "{on: mail.clicked}"),
    "event.link": ("{on: mail.clicked}",),
    "event.question": ("{on: survey.answered}",),
    "event.answer": ("{on: survey.answered}",),
    "event.number": ("{on: survey.answered}",),
    "event.stars": ("{on: review.written}",),
    "event.contest": ("{on: contest.entered}",),
    "event.segment": ("{on: segment.entered, segment: vip}",),
    "event.request": (),
}
COMPARED = {"number": "{} == 1", "text": "{} == 'x'", "boolean": "{}", "list": "'vip' in {}"}
GROUPS = sorted({name.partition(".")[0] for name in NAMES})


def parsed(trigger: str, condition: str, *, has_reward: bool, is_repeated: bool = False) -> Any:
    """The flow, or its problems. The condition is behind the email, and in a repetition if it is repeated."""
    reward = "{reward: {name: ten}}, " if has_reward else ""
    split = f'{{split: [{{when: "{condition}", steps: [{{emit: x}}]}}]}}'
    split = f"{{repeat: {{times: 2, every: 1d, steps: [{split}]}}}}" if is_repeated else split
    text = f"flow: f\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {trigger}\nsteps: [{reward}{{send: {{message: a}}}}, {split}]"
    return parse_flow(text, ["a"], "f", ["vip"])


def is_known(name: str, trigger: str, has_reward: bool) -> bool:
    """Whether a flow with this trigger has the name."""
    group = name.partition(".")[0]
    if group in ("customer", "field", "shop", "today"):
        return True
    if group == "reward":
        return has_reward or group in TRIGGERS[trigger]
    return group in TRIGGERS[trigger] and trigger in ONLY_WITH.get(name, TRIGGERS)


def is_as_expected(name: str, trigger: str, found: Any, *, has_reward: bool) -> bool:
    """Whether a flow with a condition about the name is correct where it has the name, and elsewhere has one problem that explains it."""
    if is_known(name, trigger, has_reward):
        return isinstance(found, Flow)
    if isinstance(found, Flow) or len(found) != 1:
        return False
    (problem,) = found
    return problem.id == "condition.E010" and name in problem.message and bool(problem.hint)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_names_of_conditions(trigger: str) -> None:
    """A condition may use a name exactly where its flow has it. Elsewhere the problem says why, and what to do."""
    wrong = {}
    for name, has_reward in product(NAMES, (False, True)):
        condition = COMPARED[NAMES[name][0]].format(name).replace("weekday == 'x'", "weekday == 'mon'")
        found = parsed(trigger, condition, has_reward=has_reward)
        if not is_as_expected(name, trigger, found, has_reward=has_reward):
            wrong[name, has_reward] = found
    assert wrong == {}


@pytest.mark.parametrize("group", GROUPS)
def test_unknown_names_of_conditions(group: str) -> None:
    """An unknown name is refused, and the hint lists the names of its group."""
    trigger = next((each for each, groups in TRIGGERS.items() if group in groups), "{on: order.placed}")
    (problem,) = parsed(trigger, f"{group}.xyzzy_qq == 1", has_reward=True, is_repeated=True)
    assert problem.id == "condition.E009"
    listed = problem.hint.partition(": ")[2].split(", ")
    assert {name for name in NAMES if name.startswith(f"{group}.")} <= {*listed}


@pytest.mark.parametrize("name", ROUND_NAMES)
def test_names_of_rounds(name: str) -> None:
    """The steps of a repetition know its round. Its `until` does not."""
    assert isinstance(parsed("{on: order.placed}", f"{name} == 2", has_reward=False, is_repeated=True), Flow)
    head = "flow: f\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {on: order.placed}\n"
    repeat = f"{{repeat: {{times: 2, every: 1d, until: {name} == 2, steps: [{{emit: x}}]}}}}"
    (problem,) = parse_flow(f"{head}steps: [{repeat}]", ["a"], "f", [])
    assert problem.id == "condition.E010"


#: The fields of each group in templates that are always there if the group is.
FIELDS: Mapping[str, set[str]] = {
    "customer": {
        "id", "name", "first_name", "orders", "spend", "fields", "dates", "attributes", "country", "locale", "top_category",
    },
    "order": {"order_id", "order_number", "total", "lines", "status_url", "shipping_address", "payment_method", "invoice_number"},
    "shipment": {"parcel_id", "status", "carrier", "tracking_url", "pickup", "exception_reason"},
    "product": {"sku", "title", "category", "quantity", "price", "url", "image_url", "order_number"},
    "event": {*EVENT_DATA},
    "reward": {"code", "name", "ends_at"},
}  # fmt: skip


@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_groups_of_templates(trigger: str, is_full: bool) -> None:
    """A template gets the groups that conditions have there, each with all of its fields."""
    for has_reward in (False, True):
        flow = parsed(trigger, "customer.orders == 1", has_reward=has_reward)
        (send,) = [step for step in flow.steps if isinstance(step, Send)]
        data = template_sample(flow, send, is_full=is_full)
        groups = {"customer", *TRIGGERS[trigger], *({"reward"} if has_reward else ())}
        assert {name for name in FIELDS if name in data} == groups
        for name in groups:
            assert FIELDS[name] <= data[name].keys(), name
