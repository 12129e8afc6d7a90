"""The hash of the flows: equal for equal templates in every process, different for any change of what a worker decides by."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from streams.core.rules.consent_policy import STRICT, ConsentPolicy
from streams.core.rules.content_hash import content_hash
from streams.core.rules.flow import Condition, Flow
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.sending_rules import Cap, SendingRules
from streams.settings import PROJECT_ROOT
from tests.harness.events import shop_ruleset
from tests.harness.flow_texts import flow_text, ruleset_of

RULESET = shop_ruleset()


def test_it_is_the_same_in_every_process() -> None:
    """Neither the seed of Python's hashes, nor the order of the flows, nor settings of the process change it."""
    code = "from tests.harness.events import shop_ruleset as r; from streams.core.rules.content_hash import content_hash as h; print(h(r()))"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == content_hash(RULESET)
    assert content_hash(RULESET.with_flows(reversed(RULESET.flows))) == content_hash(RULESET)
    assert content_hash(shop_ruleset(day_scale=0.5, reward_key=b"other")) == content_hash(RULESET)


def other_values(value: Any) -> Iterator[Any]:
    """Yield `value` with one change somewhere within it, for every place."""
    if isinstance(value, Condition):
        yield replace(value, source=f"{value.source} or false")
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            for other in other_values(getattr(value, name)):
                yield replace(value, **{name: other})
    elif isinstance(value, tuple):
        yield (*value, "more")
        for index, item in enumerate(value):
            for other in other_values(item):
                yield (*value[:index], other, *value[index + 1 :])
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield value + 1
    elif isinstance(value, str):
        yield f"{value}-other"
    elif isinstance(value, timedelta):
        yield value + timedelta(minutes=1)
    elif value is None:
        yield "something"


@pytest.mark.parametrize("flow", RULESET.flows, ids=lambda flow: flow.name)
def test_it_changes_with_every_part_of_a_flow(flow: Flow) -> None:
    """A change of any field of a flow, of its steps and of their conditions gives another hash."""

    class Content:
        """The part of a ruleset that the hash reads. Not every change is a valid flow."""

        segments, rules, consent_policy = RULESET.segments, RULESET.rules, RULESET.consent_policy

        def __init__(self, flow: Flow) -> None:
            self.flows = (flow,)

    def hash_of(flow: Flow) -> str:
        content: Any = Content(flow)
        return content_hash(content)

    hashes = [hash_of(other) for other in other_values(flow)]
    assert len(hashes) > 10
    assert len({hash_of(flow), *hashes}) == len(hashes) + 1


def test_it_changes_with_the_rules() -> None:
    """Segments, sending rules, the consent policy and the versions of flows count too."""
    one, two = (
        flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]"),
        "segments: {vip: customer.orders > 3}",
    )
    rulesets: list[Ruleset] = [
        ruleset_of(),
        ruleset_of(one),
        ruleset_of(one.replace("version: 1", "version: 2")),
        ruleset_of(one, one.replace("version: 1", "version: 2")),
        ruleset_of(one, segments=two.partition(": ")[2].strip("{}")),
        Ruleset(ruleset_of(one).flows),
        Ruleset(ruleset_of(one).flows, consent_policy=ConsentPolicy(STRICT.lines())),
        Ruleset(ruleset_of(one).flows, consent_policy=ConsentPolicy(STRICT.lines(), minimum_ages={"DK": 15})),
        Ruleset(ruleset_of(one).flows, rules=SendingRules(caps=(Cap(most=1, per=timedelta(days=1)),))),
    ]
    assert len({content_hash(each) for each in rulesets}) == len(rulesets)
