"""The same events give the same effects in the same order in every process, although each has its own seed of hashes."""

from __future__ import annotations

import os
import subprocess
import sys

from streams.core.model.person_events import ProfileUpdated
from tests.harness.driver import START, Driver
from tests.harness.events import shop_ruleset
from tests.harness.flow_texts import DAY, answer_survey, buy, flow_text, open_email, ruleset_of, unsubscribe

BODIES = {
    "birthday": "trigger: {on: customer.birthday}\nsteps: [{send: {message: a}}]",
    "anniversary": "trigger: {on: customer.anniversary}\nsteps: [{send: {message: a}}]",
    "lists": "trigger: {on: order.placed, once_per: product}\nsteps: [{add_to_list: one}, {add_to_list: two}, {set: {name: x, value: y}}, {emit: e}]",
    "entered": "trigger: {on: segment.entered, segment: many}\nsteps: [{send: {message: b}}]",
    "left": "trigger: {on: segment.left, segment: some}\nsteps: [{send: {message: c}}]",
    "reached": "trigger: {on: customer.reached, threshold: customer.orders_in(90d) > 1}\nsteps: [{send: {message: a}}]",
}


def simulate() -> str:
    """The effects of two years of a customer, as text."""
    segments = "many: customer.orders > 1\nsome: customer.orders == 1"
    before = ruleset_of(segments=segments).with_flows(shop_ruleset().flows)
    more = ruleset_of(*[flow_text(body, name=name) for name, body in BODIES.items()], segments=segments)
    run = Driver(before)
    run.handle(ProfileUpdated(customer_id="c1", birthday=START.date(), occurred_at=run.now))
    buy(run)
    run.ruleset = before.with_flows(
        [*before.flows, *more.flows]
    )  # from now on the birthday and the anniversary are awaited
    for number in range(3):
        buy(run, f"p{number}")
        run.advance(30 * DAY)
    open_email(run, run.mails()[0].send_id)
    answer_survey(run, "yes")
    run.advance(400 * DAY)
    unsubscribe(run)
    run.advance(400 * DAY)
    return "\n".join(map(repr, run.effects))


def test_effects_do_not_depend_on_hash_seeds() -> None:
    """The effects are the same with every seed of Python's hashes."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", "from tests.driver.test_processes import simulate; print(simulate())"],
            env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in (0, 1, 9, 10)  # some of them order two names differently
    }  # fmt: skip
    assert len(outputs) == 1
    assert "ScheduleTimer" in outputs.pop()
