"""Flows on launches of products that were looked at: waiting for one, and starting when it has come."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from streams.core.conditions.context import View
from streams.core.instances.exits import log_gone
from streams.core.instances.start import is_known, start_once
from streams.core.instances.waiting import all_but, let_wait, waiting_run
from streams.core.model.customer import Instance
from streams.core.model.flow import DAY_STEP, LAUNCH, Flow, Program
from streams.core.model.unit_of_work import Turn
from streams.core.values import ids, local_time


def plan_launch(turn: Turn, sku: str, launches_at: datetime, seen_at: datetime) -> None:
    """See that the flows on launches wait for that of a product which the customer looked at before it.

    Args:
        turn: the customer's turn.
        sku: the product.
        launches_at: when it is launched, as it was told at `seen_at`: of several the newest look knows best, in whatever order they come.
        seen_at: when the customer looked at it.
    """
    for program in turn.world.by_trigger.get(LAUNCH, ()):
        _plan_launch(turn, program, sku, launches_at, seen_at)


def _plan_launch(turn: Turn, program: Program, sku: str, launches_at: datetime, seen_at: datetime) -> None:
    flow = program.flow
    if is_known(turn, _launched_id(turn, flow, sku)):
        return
    instance_id = ids.instance_id(turn.customer_id, flow.name, f"launch/{sku}")
    known = waiting_run(turn, instance_id)
    first_seen, told_at = seen_at, seen_at
    if known is not None:
        first_seen = min(seen_at, known.started_at)
        told = {name: datetime.fromisoformat(value) for name, value in known.about if name != "sku"}
        if seen_at <= told["told_at"]:
            launches_at, told_at = told["launches_at"], told["told_at"]
    elif seen_at >= launches_at:
        return
    about = (
        ("sku", sku),
        ("launches_at", local_time.text_of(launches_at)),
        ("told_at", local_time.text_of(told_at)),
    )
    due_at = _before_launch(turn, flow, launches_at)
    others = all_but(turn, instance_id)
    waiting = Instance(instance_id, flow.name, flow.version, "", None, DAY_STEP, due_at, first_seen, about=about)
    if due_at <= turn.now:
        turn.instances = others
        _start_launch(turn, program, waiting)
    elif known is None and not _has_room(turn, flow, waiting):
        return
    elif known is None or known.due_at != due_at:
        let_wait(turn, waiting, others)
    elif known != waiting:  # its timer is on the way
        turn.instances = (*others, waiting)
        turn.changed = True


def _launched_id(turn: Turn, flow: Flow, sku: str) -> str:
    """The one run that the launch of a product starts."""
    return ids.instance_id(turn.customer_id, flow.name, f"product/{sku}")


def _before_launch(turn: Turn, flow: Flow, launches_at: datetime) -> datetime:
    moment = launches_at - local_time.lasting(timedelta(days=flow.trigger.before), turn.world.day_scale)
    return local_time.scaled(moment, moment, 1.0)


def _has_room(turn: Turn, flow: Flow, waiting: Instance) -> bool:
    """Whether one more may wait for a launch; that it may not is logged."""
    limits, moment = turn.world.limits, local_time.text_of(waiting.due_at)
    if len([one for one in turn.instances if one.is_launch]) >= limits.launches:
        words = f"more than {limits.launches} launches waited for at once"
        turn.decide(flow, waiting.instance_id, DAY_STEP, "limit", "launches", words, moment=moment)
        return False
    if len(turn.instances) >= limits.instances:
        words = f"more than {limits.instances} flows at once"
        turn.decide(flow, waiting.instance_id, DAY_STEP, "limit", "instances", words, moment=moment)
        return False
    return True


def _start_launch(turn: Turn, program: Program, waiting: Instance) -> None:
    """Start the flow for a product whose launch has come. Who looked only when it should have begun already begins with the look."""
    told = dict(waiting.about)
    seen_at = local_time.text_of(waiting.started_at)
    view = View(turn, None, None, (("sku", told["sku"]), ("seen_at", seen_at), ("launches_at", told["launches_at"])))
    started_at = min(max(waiting.due_at, waiting.started_at), turn.now)
    instance_id = _launched_id(turn, program.flow, view.told("sku"))
    start_once(turn, program, instance_id, LAUNCH, view, started_at)


def begin_launch(turn: Turn, waiting: Instance) -> None:
    """Start the flow that waits for a launch, or wait on if it begins later by now."""
    others = all_but(turn, waiting.instance_id)
    turn.instances = others
    turn.changed = True
    program = turn.world.newest(waiting.flow)
    if program is None or program.flow.trigger.on != LAUNCH:
        log_gone(turn, waiting)
        return
    launches_at = datetime.fromisoformat(dict(waiting.about)["launches_at"])
    due_at = _before_launch(turn, program.flow, launches_at)
    if due_at > turn.now:
        let_wait(turn, replace(waiting, flow_version=program.flow.version, due_at=due_at), others)
        return
    _start_launch(turn, program, waiting)
