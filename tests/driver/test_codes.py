"""Pool codes on a virtual clock: given, awaited, abandoned, and too late."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import ClaimCode, IssueReward, LogDecision, WithdrawClaim
from streams.core.model.events import CodeGranted, OrderPaid, OrderPlaced, OrderRefunded
from streams.core.offers.code_pool_records import Code, Pool, pool_key
from streams.core.offers.code_pools import CodePools
from streams.core.rules.ruleset import Limits, Ruleset
from streams.core.sending.content import template_data
from tests.harness.driver import START, Driver
from tests.harness.events import flow_from, order
from tests.harness.flow_texts import DAY, HOUR, MESSAGES, buy, flow_text, ruleset_of, run_of, sent, unsubscribe

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
    """Add codes to the pool."""
    run.stock(*[Code("spring", code, expires_at) for code in codes])


def issued(run: Driver) -> list[tuple[str, str]]:
    """Customer and code of each reward."""
    return [(effect.customer_id, effect.code) for effect in run.effects if isinstance(effect, IssueReward)]


def claims(run: Driver) -> list[ClaimCode]:
    """The claims so far."""
    return [effect for effect in run.effects if isinstance(effect, ClaimCode)]


def withdrawn(run: Driver) -> list[tuple[str, str, str, datetime]]:
    """Customer, pool, reward and end of each withdrawn claim."""
    return [
        (effect.customer_id, effect.pool, effect.reward_id, effect.give_up_at)
        for effect in run.effects
        if isinstance(effect, WithdrawClaim)
    ]


def grant(run: Driver, code: str = "LATE", **changes: object) -> CodeGranted:
    """The answer to the first claim, as the pool would give it now."""
    (claim, *_) = claims(run)
    same = {name: getattr(claim, name) for name in CodeGranted.__struct_fields__ if hasattr(claim, name)}
    return CodeGranted(**(same | {"code": code, "expires_at": None, "occurred_at": run.now} | changes))


def rules_against(run: Driver) -> list[str]:
    """The rules of the decisions against a step or an email."""
    return [
        effect.rule
        for effect in run.effects
        if isinstance(effect, LogDecision) and effect.outcome in ("skip", "exit", "draft")
    ]


def test_code_in_stock() -> None:
    """A code in stock is given immediately. It is published, shown in the email, and valid until the earlier of both ends."""
    run = run_of(SPRING)
    stock(run, "A1")
    stock(run, "A2", expires_at=START + 3 * DAY)
    for number in (1, 2):
        buy(run, f"o{number}", customer_id=f"c{number}")
    assert issued(run) == [("c1", "A1"), ("c2", "A2")]
    assert [effect.expires_at for effect in run.effects if isinstance(effect, IssueReward)] == [
        START + 30 * DAY,
        START + 3 * DAY,
    ]
    assert [template_data(mail.content)["reward"]["code"] for mail in run.mails()] == ["A1", "A2"]
    assert len({effect.reward_id for effect in run.effects if isinstance(effect, IssueReward)}) == 2
    assert run.customers["c1"].instances == ()


def test_empty_pool() -> None:
    """Customers wait for a code, and the first of them gets the first code."""
    run = run_of(SPRING)
    for number in (1, 2):
        buy(run, f"o{number}", customer_id=f"c{number}")
        run.advance(HOUR)
    assert [instance.awaits for state in run.customers.values() for instance in state.instances] == [
        "code of spring"
    ] * 2
    stock(run, "A1")
    assert issued(run) == [("c1", "A1")]
    assert sent(run) == [("a", round(2 / 24, 3))]
    stock(run, "A1", "A2")
    assert issued(run) == [("c1", "A1"), ("c2", "A2")]
    run.advance(9 * DAY)
    assert rules_against(run) == []


def test_wait_for_a_code_ends() -> None:
    """After `within` the flow continues without a code, with a decision. A later code goes to the next customer."""
    run = run_of(SPRING)
    buy(run)
    run.advance(2 * DAY)
    assert rules_against(run) == ["pool_empty"]
    assert sent(run) == [("b", 2)]
    assert "reward" not in template_data(run.mails()[0].content)
    stock(run, "A1")
    buy(run, "o2", customer_id="c2")
    assert issued(run) == [("c2", "A1")]


def test_expired_codes() -> None:
    """Expired codes are not given, whether they expire in stock, before they arrive, or on their way to the customer."""
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
    assert rules_against(run) == ["code_expired"]
    assert sent(run)[-1][0] == "b"


def test_repeated_grant() -> None:
    """A repeated grant changes nothing."""
    run = run_of(SPRING)
    stock(run, "A1")
    buy(run)
    state, effects = run.customers["c1"], len(run.effects)
    run.handle(grant(run, "A1"), grant(run, "A1"))
    assert run.customers["c1"] is state
    assert len(run.effects) == effects


def test_late_code() -> None:
    """A code that arrives after the instance ended or continued gives one decision, which does not contain the code."""
    left = run_of(SPRING)
    buy(left)
    left.handle(OrderRefunded(order("o1", START), left.now))
    left.handle(grant(left))
    assert rules_against(left) == ["order.refunded", "code_too_late"]
    late = run_of(SPRING)
    buy(late)
    late.advance(2 * DAY)
    late.handle(grant(late), grant(late))
    assert rules_against(late) == ["pool_empty", "code_too_late"]
    for run in (left, late):
        assert issued(run) == []
        (decision,) = [
            effect for effect in run.effects if isinstance(effect, LogDecision) and effect.rule == "code_too_late"
        ]
        assert (decision.flow, decision.order_id, decision.step) == ("f", "o1", "0")
        assert claims(run)[0].reward_id in decision.detail
        assert not any(code in decision.detail for code in ("A1", "LATE"))


def test_withdrawn_claim() -> None:
    """A customer who no longer waits withdraws the claim, and the code goes to the next customer or back into stock."""
    run = run_of(SPRING)
    for number in (1, 2):
        buy(run, f"o{number}", customer_id=f"c{number}")
    first, _ = claims(run)
    # On a broker a code can be on its way while its instance ends. Here the pool gives it before it knows of the end.
    code_pools = CodePools(run.pools, run.now)
    code_pools.apply(Code("spring", "A1"))
    run.handle(OrderRefunded(order("o1", START), run.now))
    assert withdrawn(run) == [(first.customer_id, first.pool, first.reward_id, first.give_up_at)]
    assert issued(run) == [("c2", "A1")]
    run.handle(*code_pools.grants)
    assert rules_against(run) == ["order.refunded", "code_too_late"]
    buy(run, "o3", customer_id="c3")
    run.advance(2 * DAY)
    assert [customer for customer, *_ in withdrawn(run)] == ["c1", "c3"]
    assert run.pools.get(pool_key("spring")) == Pool(0, 0, 3, 3)


def test_given_codes_are_not_withdrawn() -> None:
    """A given code stays given. A code that expired on its way is withdrawn, and does not return to stock."""
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
    assert rules_against(late) == ["code_expired"]
    assert len(withdrawn(late)) == 1
    assert late.pools.get(pool_key("spring")) == Pool(0, 0, 1, 1)


def test_exit_when_the_code_arrives() -> None:
    """`exit_on` of the current flow is evaluated when the code arrives."""
    run = run_of(SPRING.replace("exit_on: [order.refunded]\n", ""))
    buy(run)
    run.handle(OrderRefunded(order("o1", START), run.now))
    run.ruleset = ruleset_of(flow_text(SPRING))
    stock(run, "A1")
    assert rules_against(run) == ["order.refunded", "code_too_late"]
    assert (issued(run), run.customers["c1"].instances) == ([], ())


def test_draft() -> None:
    """A draft claims no code, and a flow that becomes a draft gives none."""
    draft = Driver(ruleset_of(flow_text(SPRING, status="draft")))
    stock(draft, "A1")
    buy(draft)
    assert (claims(draft), set(rules_against(draft))) == ([], {"draft"})
    run = run_of(SPRING)
    buy(run)
    run.ruleset = ruleset_of(flow_text(SPRING, status="draft"))
    stock(run, "A1")
    assert issued(run) == []
    assert rules_against(run)[0] == "code_too_late"
    assert run.pools.get(pool_key("spring")) == Pool(0, 1, 1, 1)


def test_paused_flow() -> None:
    """A paused flow takes no code before it is live again."""
    run = Driver(ruleset_of(flow_text(SPRING, status="paused")))
    stock(run, "A1")
    buy(run)
    run.advance(5 * HOUR)
    assert (claims(run), run.messages()) == ([], [])
    run.ruleset = ruleset_of(flow_text(SPRING))
    run.advance(HOUR)
    assert template_data(run.mails()[0].content)["reward"]["code"] == "A1"


def test_newest_reward() -> None:
    """`reward.is_given` is about the newest reward. A signed code is always given."""
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
def test_migration(comes: bool) -> None:
    """An instance that waits for a code is moved to the newer version, and continues with the code or without."""
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
    assert rules_against(run) == ([] if comes else ["pool_empty", "no_arm"])
    if comes:
        (reward,) = [effect for effect in run.effects if isinstance(effect, IssueReward)]
        assert (reward.reward_id, reward.name, reward.flow_version) == (claims(run)[0].reward_id, "more", 2)


def test_other_pool_after_an_update() -> None:
    """If the step has another pool in the newest version, the code of the first pool is not used."""
    run = Driver(Ruleset([_version(1, OLD)]))  # type: ignore[list-item]  # a flow
    buy(run)
    other = OLD.replace("pool: spring", "pool: summer").replace("name: ten", "name: sun")
    run.ruleset = Ruleset([_version(2, other)])  # type: ignore[list-item]  # a flow
    stock(run, "A1")
    run.stock(Code("summer", "S1"))
    assert issued(run) == [("c1", "S1")]
    assert rules_against(run) == ["code_too_late"]
    assert run.messages() == ["a"]


def test_other_pool_at_the_end_of_the_wait() -> None:
    """At the end of the wait the new pool is claimed first."""
    run = Driver(Ruleset([_version(1, OLD)]))  # type: ignore[list-item]  # a flow
    buy(run)
    other = OLD.replace("pool: spring", "pool: summer").replace("name: ten", "name: sun")
    run.ruleset = Ruleset([_version(2, other)])  # type: ignore[list-item]  # a flow
    run.stock(Code("summer", "S1"))
    run.advance(3 * DAY)
    assert issued(run) == [("c1", "S1")]
    assert rules_against(run) == []
    assert run.messages() == ["a"]


def test_limit_of_instances() -> None:
    """An instance without room to wait claims no code."""
    waits = flow_text("trigger: {on: order.placed}\nsteps: [{wait: 9d}, {send: {message: c}}]", name="a-first")
    run = Driver(ruleset_of(waits, flow_text(SPRING), limits=Limits(instances=1, transactional_instances=0)))
    buy(run)
    assert claims(run) == []
    assert [rule for _, outcome, rule in run.decisions() if outcome == "limit"] == ["instances"]


def test_day_scale() -> None:
    """With shorter days the wait for a code is shorter. Claim and timer end at the same time."""
    run = run_of(SPRING, day_scale=1 / 24)
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    (claim,) = claims(run)
    assert claim.give_up_at - claim.claimed_at == timedelta(hours=2)
    run.advance(timedelta(hours=2))
    assert rules_against(run) == ["pool_empty"]


LATE = """\
trigger: {on: order.placed}
steps:
  - reward: {name: spring-10, pool: spring, within: 2d}
  - emit: gave
  - split:
      - when: reward.is_given
        steps: [{send: {message: a, expires: 9d%s}}]
      - otherwise: [{send: {message: b}}]
"""


def test_a_refused_email_takes_no_code() -> None:
    """Without consent no code is claimed. The decision is that of the email, and the code goes to the next customer."""
    run = run_of(LATE % "", purpose="marketing")
    stock(run, "A1")
    buy(run, customer_id="c2")
    assert issued(run) == [("c2", "A1")]
    unsubscribe(run)
    buy(run)
    run.advance(9 * DAY)
    assert [claim.customer_id for claim in claims(run)] == ["c2"]
    assert rules_against(run) == ["unsubscribed"]
    assert not run.customers["c1"].instances


def test_a_holdout_takes_no_code() -> None:
    """Customers who are held out of the email take no code, and are remembered as held out, not sent the other email."""
    run = run_of(LATE % ", holdout: 50", purpose="marketing")
    for number in range(40):
        buy(run, f"o{number}", customer_id=f"c{number}")
    held_out = rules_against(run).count("holdout")
    assert 5 < held_out < 35
    assert len(claims(run)) == 40 - held_out
    assert run.messages() == []


@pytest.mark.parametrize("codes", [0, 1])
def test_a_deferred_email_takes_no_code_yet(codes: int) -> None:
    """While a cap defers the email no code is claimed. Then a code is claimed once, and the email sent with it."""
    first = flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: c}}]", name="e", purpose="marketing")
    rules = "caps: [{most: 1, per: 5d}]"
    run = Driver(ruleset_of(first, flow_text(LATE % "", purpose="marketing"), rules=rules))
    stock(run, *["A1"][:codes])
    buy(run)
    run.advance(4 * DAY)
    assert (claims(run), sent(run)) == ([], [("c", 0)])
    run.advance(2 * DAY)
    assert len(claims(run)) == 1
    if not codes:
        stock(run, "A1")
    assert (issued(run), sent(run)) == ([("c1", "A1")], [("c", 0), ("a", 5 + (1 - codes))])
    assert ("f", "defer", "cap") in run.decisions()
    run.advance(9 * DAY)
    assert withdrawn(run) == []


def test_a_code_that_arrives_too_late_for_the_email_returns() -> None:
    """If the customer unsubscribes while the pool is empty, the code that arrives returns to the pool."""
    run = run_of(LATE % "", purpose="marketing")
    buy(run)
    run.advance(HOUR)
    unsubscribe(run)
    stock(run, "A1")
    assert (issued(run), rules_against(run)) == ([], ["code_too_late", "unsubscribed"])
    assert len(withdrawn(run)) == 1
    buy(run, "o2", customer_id="c2")
    assert issued(run) == [("c2", "A1")]


def test_a_cap_that_fills_up_before_the_code_arrives() -> None:
    """If another email takes the place meanwhile, the code returns, and another claim of the same step gets one later."""
    other = flow_text("trigger: {on: order.paid}\nsteps: [{send: {message: c}}]", name="e", purpose="marketing")
    rules = "caps: [{most: 1, per: 5d}]"
    run = Driver(ruleset_of(other, flow_text(LATE % "", purpose="marketing"), rules=rules))
    buy(run)
    run.advance(HOUR)
    run.handle(OrderPaid(order("o1", run.now), run.now))
    stock(run, "A1")
    assert (issued(run), run.messages(), len(withdrawn(run))) == ([], ["c"], 1)
    run.handle(grant(run, "A1"))  # the grant of the first claim arrives again
    run.advance(6 * DAY)
    assert (issued(run), run.messages()) == ([("c1", "A1")], ["c", "a"])
    assert len({claim.reward_id for claim in claims(run)}) == len(claims(run)) == 2


def test_a_wait_between_reward_and_email() -> None:
    """With a wait before the email, the code is taken before the wait, as `takk flows check` warns."""
    body = LATE.replace("emit: gave", "wait: 1d") % ""
    run = run_of(body, purpose="marketing")
    stock(run, "A1")
    unsubscribe(run)
    buy(run)
    assert issued(run) == [("c1", "A1")]
