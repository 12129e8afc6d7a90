"""Rollouts: a partition moves between workers with older and newer flows at any moment. Nothing happens twice, and nothing is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import LogDecision, SendMail
from streams.core.model.events import Event, OrderPlaced
from streams.core.offers.code_pool_records import Code
from streams.core.rules.ruleset import Ruleset
from tests.harness.driver import START, Driver
from tests.harness.events import flow_from, order
from tests.harness.examples import examples
from tests.harness.flow_texts import DAY, HOUR, MESSAGES
from tests.property.changing_flows import BODIES, HEAD, check_codes, check_once, codes, events

#: An event, code or takeover, and the time until the next one. All together take less than the week after which an unknown flow counts as deleted.
Step = tuple[Event | Code | Literal["older", "newer"], timedelta]
gaps = st.integers(0, 24).map(lambda halves: halves * HOUR / 2)
workers: st.SearchStrategy[Literal["older", "newer"]] = st.sampled_from(["older", "newer"])
stories: st.SearchStrategy[list[Step]] = st.lists(st.tuples(st.one_of(events, codes, workers), gaps), max_size=12)
bodies = st.sampled_from(BODIES)


def run_of(newer: str, older: str | None, story: list[Step]) -> Driver:
    """Start an instance on version 2 and run the story, with version 1 or without the flow on the older worker. At last a newer one runs."""
    kept = [flow_from(HEAD.format(1) + older, "f", MESSAGES)] if older is not None else []
    rulesets = {"newer": Ruleset([*kept, flow_from(HEAD.format(2) + newer, "f", MESSAGES)]), "older": Ruleset(kept)}
    run = Driver(rulesets["newer"])
    run.handle(OrderPlaced(order("o1", START), START))
    for what, gap in [*story, ("newer", 120 * DAY)]:
        if isinstance(what, str):
            run.ruleset = rulesets[what]
            run.customers = {key: decode_customer(encode_customer(state)) for key, state in run.customers.items()}
        elif isinstance(what, Code):
            run.stock(what)
        else:
            run.handle(what)
        run.advance(gap)
    return run


@settings(max_examples=examples(250), deadline=None)
@given(bodies, st.none() | bodies, stories)
def test_nothing_is_lost_or_doubled(newer: str, older: str | None, story: list[Step]) -> None:
    """Each instance ends by its own version, no email, code or signal occurs twice, and nothing is left in the state."""
    run = run_of(newer, older, story)
    check_once(run.effects)
    check_codes(run)
    assert [state.instances for state in run.customers.values() if state.instances] == []
    assert not [one for one in run.effects if isinstance(one, LogDecision) and one.rule in ("flow_gone", "held_events")]
    versions: dict[str, set[int]] = {}
    for mail in run.effects:
        if isinstance(mail, SendMail):
            versions.setdefault(mail.instance_id, set()).add(mail.flow_version)
    assert all(len(each) == 1 for each in versions.values())


@settings(max_examples=examples(150), deadline=None)
@given(bodies, st.none() | bodies, st.lists(st.tuples(workers, gaps), max_size=12))
def test_the_emails_are_those_of_the_newer_version(newer: str, older: str | None, story: list[Step]) -> None:
    """Whichever worker owns the partition when waits end, the customer gets the emails of the version that started, in their order."""
    assert run_of(newer, older, story).messages() == run_of(newer, older, []).messages()
