"""Bodies of a flow that changes, what happens to its customers, and what must hold for the effects."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st

from streams.core.model.effects import Effect, EmitSignal, IssueReward, LogDecision, SendMail
from streams.core.model.events import OrderPlaced, SurveyAnswered
from streams.core.offers.code_pool_records import ClaimRecord, Code
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import HOUR

HEAD = (
    "flow: f\nversion: {}\nstatus: live\npurpose: service\ntrigger: {{on: order.placed}}\nexit_on: [order.refunded]\n"
)
BODIES = (
    "steps: [{send: {message: a}}, {wait: 2d}, {send: {message: b}}]",
    "steps: [{wait: 2d}, {send: {message: b}}, {wait: 1d}, {send: {message: a, expires: 9d}}]",
    "steps: [{wait: 1d}, {wait: 1d}, {reward: {name: gift}}, {send: {message: a}}, {emit: signal}]",
    "steps: [{send: {message: c}}, {wait_for: {event: survey.answered, up_to: 3d, then: [{send: {message: a}}], "
    "otherwise: [{wait: 1d}, {send: {message: b}}]}}]",
    "steps: [{wait_for: {event: shipment.delivered, up_to: 4d, then: [{wait: 1d}]}}, {send: {message: a}}, {wait: 1d}, {send: {message: b}}]",
    "steps: [{split: [{when: customer.orders > 1, steps: [{wait: 2d}, {send: {message: a}}]}, {otherwise: [{wait: 1d}, {send: {message: b}}]}]}, "
    "{wait: 1d}, {send: {message: c}}]",
    "steps: [{experiment: {name: x, arms: [{name: one, percent: 50, steps: [{wait: 1d}, {send: {message: a}}]}, "
    "{name: two, percent: 50, steps: [{reward: {name: gift}}]}]}}, {wait: 2d}, {send: {message: b}}]",
    "steps: [{reward: {name: gift, pool: ten}}, {wait: 1d}, {send: {message: a}}, {reward: {name: more, pool: ten, within: 3d}}, "
    "{split: [{when: reward.is_given, steps: [{send: {message: b}}]}]}]",
    "steps: [{reward: {name: gift, pool: other, within: 2d}}, {send: {message: c}}, {wait: 1d}, {reward: {name: more, pool: ten, within: 5d}}]",
    "steps: [{set: {name: seen, value: yes}}]",
    "steps: [{repeat: {times: 3, every: 1d, until: customer.orders > 2, steps: [{send: {message: a}}, {add: {name: points, value: 1}}]}}]",
    "steps: [{send: {message: c}}, {wait: 1d}, {send: {message: b}}]",
    "steps: [{send: {message: b}}, {wait: 1d}, {send: {message: a}}]",
)
whens = st.integers(0, 24 * 12).map(lambda hours: START + hours * HOUR)
order_ids = st.sampled_from(["o1", "o2", "o3"])
events = st.one_of(
    st.builds(lambda name, at: OrderPlaced(order(name, START), at), order_ids, whens),
    st.builds(shipment, order_ids, st.just("delivered"), whens),
    st.builds(
        SurveyAnswered, customer_id=st.just("c1"), send_id=st.none(), question=st.just("q"), answer=st.just("yes"), occurred_at=whens
    ),
)  # fmt: skip
codes = st.builds(
    lambda pool, number, ends_at: Code(pool, f"{pool}-{number}", ends_at),
    st.sampled_from(["ten", "other"]),
    st.integers(0, 9),
    st.none() | whens,
)


def check_once(effects: list[Effect]) -> None:
    """Check that no email, reward, code or signal occurs twice."""
    given_ids = [
        *(one.send_id for one in effects if isinstance(one, SendMail)),
        *(one.reward_id for one in effects if isinstance(one, IssueReward)),
        *(one.code for one in effects if isinstance(one, IssueReward)),
        *(one.signal_id for one in effects if isinstance(one, EmitSignal)),
    ]
    assert [found for found, count in Counter(given_ids).items() if count > 1] == []


def check_codes(run: Driver) -> None:
    """Check that each granted code was given to the customer, or that a decision logs why it was not."""
    left = [one for one in run.pools.entries.values() if isinstance(one, ClaimRecord) and one.at is not None]
    given = [one for one in run.effects if isinstance(one, IssueReward) and "-" in one.code]
    unused = [
        one for one in run.effects if isinstance(one, LogDecision) and one.rule in ("code_too_late", "code_expired")
    ]
    assert len(left) == len(given) + len(unused)
