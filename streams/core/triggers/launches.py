"""Flows on launches of products that were looked at: waiting for one, and starting when it has come."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.exits import log_missing_flow
from streams.core.instances.start import is_known, start_once
from streams.core.instances.waiting import find_instance, other_instances, suspend
from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer import Instance
from streams.core.model.flow import DAY_STEP, LAUNCH, Flow
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids, local_time


def schedule_launch(uow: UnitOfWork, sku: str, launches_at: datetime, seen_at: datetime) -> None:
    """See that the flows on launches wait for that of a product which the customer looked at before it.

    Args:
        turn: the customer's turn.
        sku: the product.
        launches_at: when it is launched, as it was told at `seen_at`: of several the newest look knows best, in whatever order they come.
        seen_at: when the customer looked at it.
    """
    for compiled in uow.ruleset.by_trigger.get(LAUNCH, ()):
        _plan_launch(uow, compiled, sku, launches_at, seen_at)


def _plan_launch(uow: UnitOfWork, compiled: CompiledFlow, sku: str, launches_at: datetime, seen_at: datetime) -> None:
    flow = compiled.flow
    if is_known(uow, _launched_id(uow, flow, sku)):
        return
    instance_id = ids.instance_id(uow.customer_id, flow.name, f"launch/{sku}")
    known = find_instance(uow, instance_id)
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
    due_at = _before_launch(uow, flow, launches_at)
    others = other_instances(uow, instance_id)
    waiting = Instance(instance_id, flow.name, flow.version, "", None, DAY_STEP, due_at, first_seen, about=about)
    if due_at <= uow.now:
        uow.instances = others
        _start_launch(uow, compiled, waiting)
    elif known is None and not _has_room(uow, flow, waiting):
        return
    elif known is None or known.due_at != due_at:
        suspend(uow, waiting, others)
    elif known != waiting:  # its timer is on the way
        uow.instances = (*others, waiting)
        uow.changed = True


def _launched_id(uow: UnitOfWork, flow: Flow, sku: str) -> str:
    """The one run that the launch of a product starts."""
    return ids.instance_id(uow.customer_id, flow.name, f"product/{sku}")


def _before_launch(uow: UnitOfWork, flow: Flow, launches_at: datetime) -> datetime:
    moment = launches_at - local_time.scale(timedelta(days=flow.trigger.before), uow.ruleset.day_scale)
    return local_time.scale_deadline(moment, moment, 1.0)


def _has_room(uow: UnitOfWork, flow: Flow, waiting: Instance) -> bool:
    """Whether one more may wait for a launch; that it may not is logged."""
    limits, moment = uow.ruleset.limits, local_time.text_of(waiting.due_at)
    if len([one for one in uow.instances if one.is_launch]) >= limits.launches:
        words = f"more than {limits.launches} launches waited for at once"
        uow.decide(flow, waiting.instance_id, DAY_STEP, "limit", "launches", words, moment=moment)
        return False
    if len(uow.instances) >= limits.instances:
        words = f"more than {limits.instances} flows at once"
        uow.decide(flow, waiting.instance_id, DAY_STEP, "limit", "instances", words, moment=moment)
        return False
    return True


def _start_launch(uow: UnitOfWork, compiled: CompiledFlow, waiting: Instance) -> None:
    """Start the flow for a product whose launch has come. Who looked only when it should have begun already begins with the look."""
    told = dict(waiting.about)
    seen_at = local_time.text_of(waiting.started_at)
    context = EvalContext(
        uow, None, None, (("sku", told["sku"]), ("seen_at", seen_at), ("launches_at", told["launches_at"]))
    )
    started_at = min(max(waiting.due_at, waiting.started_at), uow.now)
    instance_id = _launched_id(uow, compiled.flow, context.data("sku"))
    start_once(uow, compiled, instance_id, LAUNCH, context, started_at)


def start_on_launch(uow: UnitOfWork, waiting: Instance) -> None:
    """Start the flow that waits for a launch, or wait on if it begins later by now."""
    others = other_instances(uow, waiting.instance_id)
    uow.instances = others
    uow.changed = True
    compiled = uow.ruleset.newest_flow(waiting.flow)
    if compiled is None or compiled.flow.trigger.on != LAUNCH:
        log_missing_flow(uow, waiting)
        return
    launches_at = datetime.fromisoformat(dict(waiting.about)["launches_at"])
    due_at = _before_launch(uow, compiled.flow, launches_at)
    if due_at > uow.now:
        suspend(uow, replace(waiting, flow_version=compiled.flow.version, due_at=due_at), others)
        return
    _start_launch(uow, compiled, waiting)
