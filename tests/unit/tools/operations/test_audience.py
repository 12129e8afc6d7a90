"""The audience of campaigns and backfills."""

from __future__ import annotations

import pytest

from streams.core.model.customer import Customer, Merge
from streams.tools.operations.audience import Audience, NoAudience, audience_of
from tests.harness.driver import START
from tests.harness.flow_texts import flow_text, ruleset_of

STATES = [
    Customer("new", purchases=1),
    Customer("loyal", purchases=2),
    Customer("member", purchases=2, segments=("loyal",)),
    Customer("alias", merge=Merge(into="loyal")),
]


def audience(trigger: str) -> Audience:
    """The audience of a flow with this trigger among `STATES`."""
    text = flow_text(f"trigger: {{{trigger}}}\nsteps: [{{send: {{message: a}}}}]")
    return audience_of(ruleset_of(text, segments="loyal: customer.orders >= 2"), "f", STATES, START)


@pytest.mark.parametrize(
    ("trigger", "starts"),
    [
        ("on: segment.entered, segment: loyal", 1),
        ("on: segment.entered, segment: loyal, backfill: true", 1),
        ("on: customer.reached, threshold: customer.orders >= 2", 2),
        ("on: date, at: 2026-12-01 09:00, segment: loyal", 2),
        ("on: date, at: 2026-01-01 09:00, segment: loyal", 0),
    ],
)
def test_the_audience_of_a_flow(trigger: str, starts: int) -> None:
    """A campaign counts all members of its segment unless it is over, a backfill those who did not enter it while the flow was live."""
    assert audience(trigger) == Audience(4, starts)


def test_a_flow_without_an_audience() -> None:
    """A flow that starts by events, or that is unknown, has no audience."""
    with pytest.raises(NoAudience, match=r"order\.placed"):
        audience("on: order.placed")
    with pytest.raises(NoAudience, match="unknown flow"):
        audience_of(ruleset_of(), "f", STATES, START)
