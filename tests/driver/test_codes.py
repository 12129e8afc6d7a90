"""Codes of pools on a virtual clock: given, waited for, given up, and what becomes of a code that comes too late."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import ClaimCode, IssueReward, LogDecision, WithdrawClaim
from streams.core.model.events import CodeGranted, OrderPlaced, OrderRefunded
from streams.core.model.ruleset import Limits, Ruleset
from streams.core.offers.code_pool_records import Code, Pool, pool_key
from streams.core.offers.code_pools import CodePools
from streams.core.sending.content import template_data
from tests.harness.driver import START, Driver
from tests.harness.events import flow_from, order
from tests.harness.flow_texts import DAY, HOUR, MESSAGES, buy, flow_text, ruleset_of, run_of, sent

SPRING = """\
trigger: {on: order.placed}
exit_on: [order.refunded]
steps:
  - reward: {name: spring-10, pool: spring, expires: 30d, within: 2d}
  - split:
      - when: reward.is_given
        steps: [{send: {message: a}}]
      - otherwise: [{send: {message: b}}]
"""


def stock(run: Driver, *codes: str, expires_at: datetime | None = None) -> None:
    """The shop puts codes into the pool."""
    run.stock(*[Code("spring", code, expires_at) for code in codes])


def issued(run: Driver) -> list[tuple[str, str]]:
    """Customer and code of each reward."""
    return [(one.customer_id, one.code) for one in run.effects if isinstance(one, IssueReward)]


def claims(run: Driver) -> list[ClaimCode]:
    """What was asked of pools."""
    return [one for one in run.effects if isinstance(one, ClaimCode)]


def withdrawn(run: Driver) -> list[tuple[str, str, str, datetime]]:
    """Customer, pool, reward and end of each claim that was taken back."""
    return [
        (one.customer_id, one.pool, one.reward_id, one.give_up_at)
        for one in run.effects
        if isinstance(one, WithdrawClaim)
    ]


def grant(run: Driver, code: str = "LATE", **changes: object) -> CodeGranted:
    """The answer to the first claim, as its pool would give it now."""
    (claim, *_) = claims(run)
    same = {name: getattr(claim, name) for name in CodeGranted.__struct_fields__ if hasattr(claim, name)}
    return CodeGranted(**(same | {"code": code, "expires_at": None, "occurred_at": run.now} | changes))


def why(run: Driver) -> list[str]:
    """The rules of the decisions against something."""
    return [
        one.rule for one in run.effects if isinstance(one, LogDecision) and one.outcome in ("skip", "exit", "draft")
    ]


def test_a_code_in_stock_is_given_at_once() -> None:
    """It is published for the shop to honour, shown in the mail, and good for no longer than either says."""
    run = run_of(SPRING)
    stock(run, "A1")
    stock(run, "A2", expires_at=START + 3 * DAY)
    for number in (1, 2):
        buy(run, f"o{number}", customer_id=f"c{number}")
    assert issued(run) == [("c1", "A1"), ("c2", "A2")]
    assert [one.expires_at for one in run.effects if isinstance(one, IssueReward)] == [
        START + 30 * DAY,
        START + 3 * DAY,
    ]
    assert [template_data(mail.content)["reward"] for mail in run.mails()] == [{"code": "A1"}, {"code": "A2"}]
    assert len({one.reward_id for one in run.effects if isinstance(one, IssueReward)}) == 2
    assert run.customers["c1"].instances == ()


def test_an_empty_pool_is_waited_for() -> None:
    """Who came first gets the first code that comes, and goes on then."""
    run = run_of(SPRING)
    for number in (1, 2):
        buy(run, f"o{number}", customer_id=f"c{number}")
        run.advance(HOUR)
    assert [one.awaits for state in run.customers.values() for one in state.instances] == ["code of spring"] * 2
    stock(run, "A1")
    assert issued(run) == [("c1", "A1")]
    assert sent(run) == [("a", round(2 / 24, 3))]
    stock(run, "A1", "A2")
    assert issued(run) == [("c1", "A1"), ("c2", "A2")]
    run.advance(9 * DAY)
    assert why(run) == []


def test_who_waited_long_enough_goes_on_without() -> None:
    """A decision says so; the code that comes afterwards is the next one's."""
    run = run_of(SPRING)
    buy(run)
    run.advance(2 * DAY)
    assert why(run) == ["pool_empty"]
    assert sent(run) == [("b", 2)]
    assert "reward" not in template_data(run.mails()[0].content)
    stock(run, "A1")
    buy(run, "o2", customer_id="c2")
    assert issued(run) == [("c2", "A1")]


def test_expired_codes_are_passed_over() -> None:
    """One that expired in stock is not given, nor one that was expired when it came; and none that expires on its way."""
    run = run_of(SPRING)
    stock(run, "OLD", expires_at=START)
    stock(run, "SOON", expires_at=START + HOUR)
    stock(run, "A1")
    run.advance(HOUR)
    buy(run)
    assert issued(run) == [("c1", "A1")]
    assert run.pools.get(pool_key("spring")) == Pool(2, 2)
    buy(run, "o2", customer_id="c2")
    second = {name: getattr(claims(run)[1], name) for name in ("customer_id", "reward_id", "instance_id")}
    run.handle(grant(run, **second, expires_at=run.now))
    assert why(run) == ["code_expired"]
    assert sent(run)[-1][0] == "b"


def test_a_grant_told_again_changes_nothing() -> None:
    """Once taken, the same code is not taken again, and nothing is decided about it."""
    run = run_of(SPRING)
    stock(run, "A1")
    buy(run)
    state, effects = run.customers["c1"], len(run.effects)
    run.handle(grant(run, "A1"), grant(run, "A1"))
    assert run.customers["c1"] is state
    assert len(run.effects) == effects


def test_a_code_that_nobody_waits_for_is_told() -> None:
    """The run ended, or went on without it: a decision names the pool and the reward, once, and never the code."""
    left = run_of(SPRING)
    buy(left)
    left.handle(OrderRefunded(order("o1", START), left.now))
    left.handle(grant(left))
    assert why(left) == ["order.refunded", "code_too_late"]
    late = run_of(SPRING)
    buy(late)
    late.advance(2 * DAY)
    late.handle(grant(late), grant(late))
    assert why(late) == ["pool_empty", "code_too_late"]
    for run in (left, late):
        assert issued(run) == []
        (told,) = [one for one in run.effects if isinstance(one, LogDecision) and one.rule == "code_too_late"]
        assert (told.flow, told.order_id, told.step) == ("f", "o1", "0")
        assert claims(run)[0].reward_id in told.detail
        assert not any(code in told.detail for code in ("A1", "LATE"))


def test_who_waits_no_more_leaves_the_code_to_the_next() -> None:
    """Whoever left, or went on without, has withdrawn the claim, with what it got meanwhile: the next in the row gets it, or the stock does."""
    run = run_of(SPRING)
    for number in (1, 2):
        buy(run, f"o{number}", customer_id=f"c{number}")
    first, _ = claims(run)
    # On a broker a code can be on its way while its run ends: here the pool gives it, and only then hears that the run has ended.
    code_pools = CodePools(run.pools, run.now)
    code_pools.apply(Code("spring", "A1"))
    run.handle(OrderRefunded(order("o1", START), run.now))
    assert withdrawn(run) == [(first.customer_id, first.pool, first.reward_id, first.give_up_at)]
    assert issued(run) == [("c2", "A1")]
    run.handle(*code_pools.grants)
    assert why(run) == ["order.refunded", "code_too_late"]
    buy(run, "o3", customer_id="c3")
    run.advance(2 * DAY)
    assert [customer for customer, *_ in withdrawn(run)] == ["c1", "c3"]
    assert run.pools.get(pool_key("spring")) == Pool(0, 0, 3, 3)


def test_only_what_waited_is_withdrawn() -> None:
    """A code that was given stays given, whatever comes again; one that expired on its way is withdrawn, and comes into no stock."""
    run = run_of(SPRING)
    stock(run, "A1")
    buy(run)
    run.handle(grant(run, "A1"), OrderRefunded(order("o1", START), run.now))
    run.advance(9 * DAY)
    assert (issued(run), withdrawn(run)) == ([("c1", "A1")], [])
    late = run_of(SPRING)
    buy(late)
    code_pools = CodePools(late.pools, late.now)
    code_pools.apply(Code("spring", "SOON", START + HOUR))
    late.advance(HOUR)
    late.handle(*code_pools.grants)
    assert why(late) == ["code_expired"]
    assert len(withdrawn(late)) == 1
    assert late.pools.get(pool_key("spring")) == Pool(0, 0, 1, 1)


def test_exits_are_looked_at_again_when_the_code_comes() -> None:
    """A flow that since then ends on refunds is not gone on with by a code, as by no timer."""
    run = run_of(SPRING.replace("exit_on: [order.refunded]\n", ""))
    buy(run)
    run.handle(OrderRefunded(order("o1", START), run.now))
    run.ruleset = ruleset_of(flow_text(SPRING))
    stock(run, "A1")
    assert why(run) == ["order.refunded", "code_too_late"]
    assert (issued(run), run.customers["c1"].instances) == ([], ())


def test_a_draft_claims_nothing() -> None:
    """It says what it would have done; and a flow that became one meanwhile gives no code."""
    draft = Driver(ruleset_of(flow_text(SPRING, status="draft")))
    stock(draft, "A1")
    buy(draft)
    assert (claims(draft), set(why(draft))) == ([], {"draft"})
    run = run_of(SPRING)
    buy(run)
    run.ruleset = ruleset_of(flow_text(SPRING, status="draft"))
    stock(run, "A1")
    assert issued(run) == []
    assert why(run)[0] == "code_too_late"
    assert run.pools.get(pool_key("spring")) == Pool(0, 1, 1, 1)


def test_a_paused_flow_takes_its_code_and_waits_with_its_mail() -> None:
    """As with every other step only the mails of a paused flow wait."""
    run = Driver(ruleset_of(flow_text(SPRING, status="paused")))
    stock(run, "A1")
    buy(run)
    run.advance(5 * HOUR)
    assert (issued(run), run.messages()) == ([("c1", "A1")], [])
    run.ruleset = ruleset_of(flow_text(SPRING))
    run.advance(HOUR)
    assert template_data(run.mails()[0].content)["reward"] == {"code": "A1"}


def test_the_newest_reward_is_asked_for() -> None:
    """A signed code is given always; a pool that is empty afterwards leaves the run without one."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n"
        "  - reward: {name: ten}\n  - split: [{when: reward.is_given, steps: [{send: {message: a}}]}]\n"
        "  - reward: {name: more, pool: spring}\n  - split: [{when: not reward.is_given, steps: [{send: {message: b}}]}]\n"
    )
    buy(run)
    run.advance(DAY)
    assert sent(run) == [("a", 0), ("b", 1)]
    assert (run.ruleset.gives_rewards, run.ruleset.pools) == (True, {"spring"})
    assert (ruleset_of(flow_text(SPRING)).gives_rewards, ruleset_of(flow_text(EMPTY)).pools) == (False, frozenset())


EMPTY = "trigger: {on: order.placed}\nsteps: [{reward: {name: ten}}]"


def _version(number: int, steps: str, more: str = "") -> object:
    text = f"flow: f\nversion: {number}\nstatus: live\npurpose: service\ntrigger: {{on: order.placed}}\n{more}steps: {steps}"
    return flow_from(text, "f", MESSAGES)


OLD = "[{reward: {name: ten, pool: spring}}, {send: {message: a}}]"
NEW = "[{send: {message: c}}, {reward: {name: more, pool: spring}}, {split: [{when: reward.is_given, steps: [{send: {message: b}}]}]}]"


@pytest.mark.parametrize("comes", [True, False])
def test_a_run_that_waits_is_moved(comes: bool) -> None:
    """It waits on in the newer version, by its timer and by its code, which is the one that it claimed."""
    run = Driver(Ruleset([_version(1, OLD)]))  # type: ignore[list-item]  # a flow
    buy(run)
    moving = _version(2, NEW, 'migrations: [{from: 1, steps: {"0": "1"}}]\n')
    run.ruleset = Ruleset([_version(1, OLD), moving])  # type: ignore[list-item]  # flows
    run.customers = {key: decode_customer(encode_customer(state)) for key, state in run.customers.items()}
    if comes:
        stock(run, "A1")
    run.advance(2 * DAY)
    assert issued(run) == ([("c1", "A1")] if comes else [])
    assert run.messages() == (["b"] if comes else [])
    assert why(run) == ([] if comes else ["pool_empty", "no_arm"])
    if comes:
        (reward,) = [one for one in run.effects if isinstance(one, IssueReward)]
        assert (reward.reward_id, reward.name, reward.flow_version) == (claims(run)[0].reward_id, "more", 2)


def test_a_step_that_is_another_now() -> None:
    """A version that was taken away, and another pool at the same step of the newest: the first pool's code is not used, the other's is."""
    run = Driver(Ruleset([_version(1, OLD)]))  # type: ignore[list-item]  # a flow
    buy(run)
    other = OLD.replace("pool: spring", "pool: summer").replace("name: ten", "name: sun")
    run.ruleset = Ruleset([_version(2, other)])  # type: ignore[list-item]  # a flow
    stock(run, "A1")
    run.stock(Code("summer", "S1"))
    assert issued(run) == [("c1", "S1")]
    assert why(run) == ["code_too_late"]
    assert run.messages() == ["a"]


def test_a_step_that_is_another_now_when_the_time_is_over() -> None:
    """As when the code comes: the new pool was never asked, so it is asked now, and nobody is told that it was empty."""
    run = Driver(Ruleset([_version(1, OLD)]))  # type: ignore[list-item]  # a flow
    buy(run)
    other = OLD.replace("pool: spring", "pool: summer").replace("name: ten", "name: sun")
    run.ruleset = Ruleset([_version(2, other)])  # type: ignore[list-item]  # a flow
    run.stock(Code("summer", "S1"))
    run.advance(3 * DAY)
    assert issued(run) == [("c1", "S1")]
    assert why(run) == []
    assert run.messages() == ["a"]


def test_who_finds_no_room_takes_no_code() -> None:
    """A run that cannot wait for its code, since as many run as may be, does not claim one: it would be given to nobody."""
    waits = flow_text("trigger: {on: order.placed}\nsteps: [{wait: 9d}, {send: {message: c}}]", name="a-first")
    run = Driver(ruleset_of(waits, flow_text(SPRING), limits=Limits(instances=1)))
    buy(run)
    assert claims(run) == []
    assert [rule for _, outcome, rule in run.decisions() if outcome == "limit"] == ["instances"]


def test_the_wait_lasts_as_long_as_days_do() -> None:
    """Where a day lasts an hour, a pool is waited for an hour; claim and timer agree on the moment."""
    run = run_of(SPRING, day_scale=1 / 24)
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    (claim,) = claims(run)
    assert claim.give_up_at - claim.claimed_at == timedelta(hours=2)
    run.advance(timedelta(hours=2))
    assert why(run) == ["pool_empty"]
