"""The trigger `reward.expiring`: a flow starts some days before a code ends, unless the customer has used it."""

from __future__ import annotations

import pytest

from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import IssueReward, LogDecision
from streams.core.model.events import OrderPlaced
from streams.core.model.merge_events import CustomerMerged
from streams.core.model.orders.order import OrderDetails, OrderDiscount
from streams.core.offers.code_pool_records import Code
from streams.core.sending.content import template_data
from streams.core.values.local_time import text_of
from streams.tools.operations.customer_story import waiting_text
from streams.tools.operations.rule_texts import RULES
from streams.tools.simulation.history import History
from streams.tools.simulation.outcome import simulate
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, buy, flow_text, ruleset_of, sent, unsubscribe

REMIND = "trigger: {on: reward.expiring, before: 7d%s}\nsteps: [{send: {message: a}}, {wait: 2d}, {send: {message: b}}]"


def give(options: str = "name: ten, expires: 30d") -> str:
    """A flow that gives a code."""
    body = f"trigger: {{on: order.placed, once_per: customer}}\nsteps: [{{reward: {{{options}}}}}]"
    return flow_text(body, name="give", purpose="marketing")


def remind(where: str = "") -> str:
    """A flow that reminds of a code."""
    return flow_text(REMIND % where, name="remind", purpose="marketing")


def codes(run: Driver) -> list[str]:
    """The codes so far."""
    return [effect.code for effect in run.effects if isinstance(effect, IssueReward)]


def use(run: Driver, code: str) -> None:
    """Order with a code."""
    run.handle(
        OrderPlaced(
            order("o2", run.now, details=OrderDetails(discounts=(OrderDiscount(code.lower(), "", 100),))), run.now
        )
    )


def test_a_reminder_before_the_end() -> None:
    """The flow starts the days before the end, and its emails show the code. The name and the days left are known."""
    run = Driver(ruleset_of(give(), remind(", where: reward.name == 'ten' and reward.days_left == 7")))
    buy(run)
    (waiting,) = run.customers["c1"].instances
    assert "unless the customer has used it" in waiting_text(waiting)
    assert decode_customer(encode_customer(run.customers["c1"])) == run.customers["c1"]
    run.advance(60 * DAY)
    assert sent(run) == [("a", 23), ("b", 25)]
    rewards = [template_data(mail.content)["reward"] for mail in run.mails()]
    assert rewards == [{"code": codes(run)[0], "name": "ten", "ends_at": text_of(START + 30 * DAY)}] * 2
    assert not run.customers["c1"].instances


@pytest.mark.parametrize(("used_after", "expected"), [(2, []), (24, [("a", 23)]), (31, [("a", 23), ("b", 25)])])
def test_a_used_code(used_after: int, expected: list[tuple[str, float]]) -> None:
    """An order with the code, in any case of letters, ends what waits for its end, and a flow that has started."""
    run = Driver(ruleset_of(give(), remind()))
    buy(run)
    run.advance(used_after * DAY)
    use(run, codes(run)[0])
    run.advance(60 * DAY)
    assert sent(run) == expected
    assert (("remind", "exit", "reward_used") in run.decisions()) == (used_after == 24)
    assert RULES["reward_used"]


def test_an_order_with_another_code() -> None:
    """Another code changes nothing."""
    run = Driver(ruleset_of(give(), remind()))
    buy(run)
    use(run, "OTHER")
    run.advance(60 * DAY)
    assert sent(run) == [("a", 23), ("b", 25)]


@pytest.mark.parametrize("expires", ["7d", "3d"])
def test_a_code_that_is_valid_for_a_shorter_time(expires: str) -> None:
    """A code that is not valid for longer than `before` starts nothing."""
    run = Driver(ruleset_of(give(f"name: ten, expires: {expires}"), remind()))
    buy(run)
    run.advance(60 * DAY)
    assert (sent(run), len(codes(run))) == ([], 1)


def test_a_code_of_a_pool() -> None:
    """The end of a pool's code is the earlier one of the shop's and the step's."""
    run = Driver(ruleset_of(give("name: ten, pool: p, expires: 30d"), remind()))
    run.stock(Code("p", "A1", START + 20 * DAY))
    buy(run)
    run.advance(60 * DAY)
    assert sent(run) == [("a", 13), ("b", 15)]


def test_a_reminder_that_gives_a_code() -> None:
    """A code that such a flow gives starts it no further time."""
    body = "trigger: {on: reward.expiring, before: 7d}\nsteps: [{reward: {name: more, expires: 30d}}, {send: {message: a}}]"
    run = Driver(ruleset_of(give(), flow_text(body, name="remind", purpose="marketing")))
    buy(run)
    run.advance(200 * DAY)
    assert (sent(run), len(codes(run))) == ([("a", 23)], 2)


def test_consent_at_the_time_of_the_reminder() -> None:
    """A customer who unsubscribed after the code gets no reminder."""
    run = Driver(ruleset_of(give(), remind()))
    buy(run)
    unsubscribe(run)
    run.advance(60 * DAY)
    assert sent(run) == []
    assert ("remind", "skip", "unsubscribed") in run.decisions()


def test_a_later_start() -> None:
    """If the newest version starts later, the reminder waits until then."""
    run = Driver(ruleset_of(give(), remind()))
    buy(run)
    run.ruleset = ruleset_of(give(), remind().replace("7d", "2d"))
    run.advance(60 * DAY)
    assert sent(run)[0] == ("a", 28)


def test_a_merge() -> None:
    """A customer who was merged into another one is reminded of the code under the other id."""
    run = Driver(ruleset_of(give(), remind()))
    run.handle(OrderPlaced(order("o1", run.now, customer_id="guest"), run.now))
    run.handle(CustomerMerged(customer_id="guest", into="c1", occurred_at=run.now))
    run.advance(60 * DAY)
    assert [(mail.customer_id, mail.message) for mail in run.mails()] == [("c1", "a"), ("c1", "b")]


def test_a_limit() -> None:
    """A customer waits for the end of ten codes at most; a decision names the limit."""
    body = "trigger: {on: order.placed}\nsteps: [{reward: {name: ten, expires: 30d}}]"
    ruleset = ruleset_of(flow_text(body, name="give", purpose="marketing"), remind())
    run = Driver(ruleset)
    for number in range(12):
        buy(run, f"o{number}")
    assert len(run.customers["c1"].instances) == ruleset.limits.rewards
    limits = [effect for effect in run.effects if isinstance(effect, LogDecision) and effect.outcome == "limit"]
    assert [effect.rule for effect in limits] == ["rewards", "rewards"]


def test_simulated() -> None:
    """`takk simulate` counts the reminders."""
    found = simulate(ruleset_of(give(), remind()), History([(START, OrderPlaced(order("o1", START), START))]), 60)
    assert found.by_flow == {"remind/a": 1, "remind/b": 1}
