"""The decision log: what a decision contains, and when two decisions have the same id."""

from __future__ import annotations

from datetime import timedelta

from streams.core.model.customer import new_customer
from streams.core.model.effects import LogDecision
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids
from tests.harness.driver import START
from tests.harness.flow_texts import flow_text, ruleset_of

RULESET = ruleset_of(flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]", name="thanks"))
(FLOW,) = RULESET.flows
INSTANCE = Instance("i1", "thanks", 7, "o1", None, "0", START, START)


def unit_of_work() -> UnitOfWork:
    """Return a unit of work for a customer without state."""
    return UnitOfWork(RULESET, new_customer("c1"), START)


def logged(uow: UnitOfWork) -> list[LogDecision]:
    """Return the decisions of a unit of work."""
    return [effect for effect in uow.effects if isinstance(effect, LogDecision)]


def test_decision_about_an_instance() -> None:
    """A decision names the version of the flow that decided, and the step and order of the instance."""
    uow = unit_of_work()
    uow.decisions(FLOW, INSTANCE).exit("goal", "left the flow: goal")
    assert logged(uow) == [
        LogDecision(
            decision_id=ids.decision_id("i1", "0", "goal"),
            customer_id="c1",
            flow="thanks",
            flow_version=FLOW.version,
            instance_id="i1",
            step="0",
            outcome="exit",
            rule="goal",
            detail="left the flow: goal",
            send_id=None,
            order_id="o1",
            decided_at=START,
        )
    ]


def test_decision_about_another_step_and_order() -> None:
    """The step, the order and the email of a decision can differ from those of the instance."""
    uow = unit_of_work()
    uow.decisions(FLOW, INSTANCE, "1.0", order_id="o2", send_id="s1").skip("no_address", "unknown address")
    (decision,) = logged(uow)
    assert (decision.step, decision.order_id, decision.send_id) == ("1.0", "o2", "s1")


def test_repeated_decisions() -> None:
    """The same decision has the same id again; deferrals until different times have different ids."""
    uow = unit_of_work()
    log = uow.decisions(FLOW, INSTANCE)
    log.defer("quiet_hours", "quiet hours", START)
    log.defer("quiet_hours", "quiet hours", START)
    log.defer("quiet_hours", "quiet hours", START + timedelta(hours=1))
    first, second, third = [decision.decision_id for decision in logged(uow)]
    assert first == second != third


def test_limit_is_logged_once() -> None:
    """A limit that an order reaches again is not logged again, and its decision is about no flow."""
    uow = unit_of_work()
    for part in ("p1", "p1", "p2"):
        uow.hit_limit("parcels_per_order", "too many parcels", "o1", part)
    assert [(decision.flow, decision.step, decision.outcome) for decision in logged(uow)] == [("", "o1", "limit")] * 2
