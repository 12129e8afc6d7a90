"""Runs of flows: starting them, waking them, ending them."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from streams.core import ids, local_time, rewards
from streams.core.chance import falls_within, variant
from streams.core.conditions import View
from streams.core.customer import Instance, OrderState, Parcel, Run
from streams.core.effects import EmitSignal, LogDecision, ScheduleStep
from streams.core.events import CodeGranted, StepDue
from streams.core.flow import (
    CODE_OF,
    DATES,
    DAY_STEP,
    LAUNCH,
    ChangeList,
    Emit,
    Experiment,
    Flow,
    Program,
    Reward,
    Send,
    SetField,
    Split,
    Step,
    Wait,
    WaitFor,
)
from streams.core.moments import moment_of
from streams.core.sending import decide_send, hold_out
from streams.core.turn import Turn, has_mark

About = tuple[tuple[str, str], ...]
#: By this name an instance that a migration moved knows the run that it was: mails of then are its own.
_WAS = "run"


def happened(
    turn: Turn,
    name: str,
    order: OrderState | None,
    parcel: Parcel | None,
    at: datetime,
    *,
    about: About = (),
    send_id: str | None = None,
) -> None:
    """Tell the flows of an event: those that wait for it go on, those that it starts begin.

    Args:
        turn: the customer's turn.
        name: the event, for example "order.placed".
        order: the order that it is about.
        parcel: the parcel that it is about.
        at: when it occurred.
        about: what it tells, for conditions on `event.` and `product.`.
        send_id: the mail that it is about.
    """
    if name in turn.world.awaited and turn.instances:
        _resume(turn, name, order, parcel, at, about, send_id)
    trigger(turn, name, order, parcel, at, about)


def trigger(
    turn: Turn, name: str, order: OrderState | None, parcel: Parcel | None, occurred_at: datetime, about: About = ()
) -> None:
    """Start every flow that `name` (for example "order.placed") starts and that has not run for this before."""
    started_at = occurred_at if occurred_at < turn.now else turn.now
    for program in turn.world.by_trigger.get(name, ()):
        told = program.flow.trigger
        if told.segment and ("segment", told.segment) not in about:
            continue
        if told.which == "last" and order is not None and not order.all_parcels(name.partition(".")[2]):
            continue
        for key, more in _keys(program.flow, order, parcel, about):
            view = View(turn, order, parcel, (*about, *more))
            if told.again_after is not None:
                _start_again(turn, program, key, name, view, started_at)
            else:
                _start_once(
                    turn, program, ids.instance_id(turn.customer_id, program.flow.name, key), name, view, started_at
                )


def _keys(flow: Flow, order: OrderState | None, parcel: Parcel | None, about: About) -> list[tuple[str, About]]:
    """What an event starts the flow for, each at most once, and what conditions may know of it."""
    once_per = flow.trigger.once_per
    if order is None and once_per == "product":
        return [(f"product/{dict(about)['sku']}", ())]
    if order is None or once_per == "customer":
        return [("customer", ())]
    if once_per == "parcel" and parcel is not None:
        return [(f"{order.order_id}/{parcel.parcel_id}", ())]
    if once_per == "product":
        lines = order.facts.lines if order.facts is not None else ()
        return [(f"product/{sku}", (("sku", sku),)) for sku in dict.fromkeys([line.sku for line in lines])]
    return [(order.order_id, ())]


def _start_again(turn: Turn, program: Program, key: str, name: str, view: View, started_at: datetime) -> None:
    """Start a flow that may begin again, unless it last began too short a time ago."""
    flow = program.flow
    gap = flow.trigger.again_after
    mark = ids.mark("run", flow.name, key)
    last = next((run for run in turn.runs if run.mark == mark), None)
    if last is not None and gap is not None and started_at < last.at + local_time.lasting(gap, turn.world.day_scale):
        return
    others = tuple([run for run in turn.runs if run is not last])
    turn.runs = (*others, Run(mark, started_at))[-turn.world.limits.runs :]
    turn.changed = True
    instance_id = ids.instance_id(turn.customer_id, flow.name, f"{key}@{local_time.text_of(started_at)}")
    _start_once(turn, program, instance_id, name, view, started_at)


def _start_once(turn: Turn, program: Program, instance_id: str, name: str, view: View, started_at: datetime) -> None:
    if not _is_known(turn, instance_id):
        _start(turn, program, instance_id, name, view, started_at)


def _is_known(turn: Turn, instance_id: str) -> bool:
    if has_mark(turn.ended_marks, bytes.fromhex(instance_id)[:8]):
        return True
    return instance_id in [instance.instance_id for instance in turn.instances]


def _start(turn: Turn, program: Program, instance_id: str, name: str, view: View, started_at: datetime) -> None:
    flow, first, order, parcel = program.flow, program.first, view.order, view.parcel
    order_id = order.order_id if order is not None else None
    reason = _leaving(view, flow, started_at)
    if reason is not None:
        turn.decide(
            flow, instance_id, first or "", "exit", reason, f"{reason} before the flow began", order_id=order_id
        )
    elif name == "shipment.shipped" and parcel is not None and parcel.has("delivered"):
        words = "the parcel was delivered before Takk heard that it was shipped"
        turn.decide(flow, instance_id, first or "", "skip", "already_delivered", words, order_id=order_id)
    elif flow.trigger.where is not None and not flow.trigger.where.holds(view):
        words = f"not true: {flow.trigger.where.source}"
        turn.decide(flow, instance_id, first or "", "skip", "where", words, order_id=order_id)
    elif _is_held_out(turn, flow):
        hold_out(turn, flow, instance_id, first or "", "", flow.purpose, order_id)
    else:
        parcel_id = parcel.parcel_id if parcel is not None else None
        fresh = Instance(
            instance_id, flow.name, flow.version, order_id or "", parcel_id, first or "", started_at, started_at, about=view.about
        )  # fmt: skip
        waiting = _run(turn, program, fresh, view, started_at, first, is_start=True)
        if waiting is not None and len(turn.instances) < turn.world.limits.instances:
            _await(turn, waiting, turn.instances)
            return
        if waiting is not None:
            rewards.unclaim(turn, instance_id)
            words = f"more than {turn.world.limits.instances} flows at once"
            turn.decide(flow, instance_id, waiting.step, "limit", "instances", words, order_id=order_id)
    _note_end(turn, instance_id)


def _is_held_out(turn: Turn, flow: Flow) -> bool:
    shares = (("flow", flow.name, flow.holdout), ("all", "", 0 if flow.is_transactional else turn.world.rules.holdout))
    return any(share and falls_within(share, "holdout", what, name, turn.customer_id) for what, name, share in shares)


def _run(
    turn: Turn,
    program: Program,
    instance: Instance,
    view: View,
    start: datetime,
    path: str | None,
    *,
    is_start: bool = False,
) -> Instance | None:
    """Take steps from `path` on. Waits are counted from `start`. The instance as it waits, or None if it came to its end."""
    flow, world, order_id = program.flow, turn.world, instance.order_id or None
    taken = 0
    while path:
        step = program.steps[path]
        taken += 1
        if taken > world.limits.steps_per_wake_up:
            words = f"more than {world.limits.steps_per_wake_up} steps at one wake-up"
            turn.decide(flow, instance.instance_id, path, "limit", "steps_per_wake_up", words, order_id=order_id)
            return None
        following = program.following[path]
        if isinstance(step, Wait):
            due_at = _end_of(turn, step, start, view)
            if due_at > turn.now and following is not None:
                return _waiting(instance, following, due_at)
            start = due_at
            is_start = False
        elif isinstance(step, Send):
            if flow.status == "paused":
                due_at = local_time.scaled(turn.now, turn.now + world.paused_for, world.day_scale)
                words = "the flow is paused; looked at again later"
                moment = local_time.text_of(due_at)
                turn.decide(
                    flow, instance.instance_id, path, "defer", "paused", words, order_id=order_id, moment=moment
                )
                return _waiting(instance, path, due_at, wanted_at=instance.wanted_at)
            # A mail sent at once speaks of the moment of the order; any other of the moment at which it is sent.
            facts = view.facts
            is_at_once = is_start and flow.trigger.on == "order.placed" and facts is not None
            moment_spoken_of = facts.placed_at if is_at_once and facts is not None else turn.now
            later = decide_send(turn, flow, step, instance, view, moment_spoken_of)
            if later is not None:
                return _waiting(instance, path, later, wanted_at=instance.wanted_at or turn.now)
            if instance.wanted_at is not None:
                instance = replace(instance, wanted_at=None)
            start = turn.now  # what follows a mail is counted from the mail
        elif isinstance(step, WaitFor):
            due_at = local_time.scaled(start, start + step.up_to, world.day_scale)
            if due_at > turn.now:
                return _waiting(instance, path, due_at, awaits=step.event)
            start, following = due_at, program.way(step, 1)
        elif isinstance(step, Split):
            following = _arm(turn, program, instance, step, view)
        elif isinstance(step, Experiment):
            number = variant(step, turn.customer_id)
            if number is None:
                hold_out(turn, flow, instance.instance_id, path, "", flow.purpose, order_id)
                return None
            name = step.arms[number].name
            words = f"experiment {step.name}: arm {name}"
            turn.decide(flow, instance.instance_id, path, "schedule", "experiment", words, order_id=order_id)
            following = program.way(step, number)
        elif isinstance(step, Reward) and step.pool and flow.status != "draft":
            instance, give_up_at = rewards.claim(turn, flow, instance, step)
            return _waiting(instance, path, give_up_at, awaits=CODE_OF + step.pool)
        else:
            instance = _do(turn, flow, instance, step)
        path = following
    return None


def _end_of(turn: Turn, step: Wait, start: datetime, view: View) -> datetime:
    """When the wait that began at `start` ends."""
    world = turn.world
    where = turn.zone_of(view.order) if step.clock == "customer" else local_time.zone_of_shop(world.shop.time_zone)
    moment = moment_of(step.until, view) if step.until is not None else None
    if step.until is None or moment is None:
        return local_time.scaled(start, local_time.due(step, start, where), world.day_scale)
    begin = max(start, moment - local_time.lasting(step.until.before, world.day_scale))
    # The moment is one of the calendar already: only the time of day is looked for.
    return local_time.scaled(
        begin, local_time.due(Wait(path=step.path, at=step.at, not_on=step.not_on), begin, where), world.day_scale
    )


def _arm(turn: Turn, program: Program, instance: Instance, step: Split, view: View) -> str | None:
    view.reward = instance.reward
    for arm in step.arms:
        if arm.when is None or arm.when.holds(view):
            return arm.steps[0].path if arm.steps else program.following[step.path]
    words = "no arm of the split is true"
    turn.decide(
        program.flow, instance.instance_id, step.path, "skip", "no_arm", words, order_id=instance.order_id or None
    )
    return program.following[step.path]


def _do(turn: Turn, flow: Flow, instance: Instance, step: Step) -> Instance:
    """Take a step that neither waits nor sends; the instance after it. A draft does nothing."""
    instance_id, path, order_id = instance.instance_id, step.path, instance.order_id or None
    if flow.status == "draft":
        turn.decide(flow, instance_id, path, "draft", "draft", f"would have taken the step {path}", order_id=order_id)
        return instance
    turn.changed = True
    if isinstance(step, SetField):
        fields = dict(turn.fields) | {step.name: step.value}
        kept = [(name, value) for name, value in sorted(fields.items()) if value]
        turn.fields = tuple(kept[: turn.world.limits.fields])
    elif isinstance(step, ChangeList):
        lists = {*turn.lists, step.name} if step.is_member else {*turn.lists} - {step.name}
        turn.lists = tuple(sorted(lists)[: turn.world.limits.lists])
    elif isinstance(step, Reward):
        return rewards.sign(turn, flow, instance, step)
    elif isinstance(step, Emit):
        turn.effects.append(
            EmitSignal(
                signal_id=ids.digest("signal", instance_id, path),
                customer_id=turn.customer_id,
                kind=step.kind,
                flow=flow.name,
                flow_version=flow.version,
                instance_id=instance_id,
                step=path,
                order_id=order_id,
                emitted_at=turn.now,
            )
        )
    return instance


def _waiting(
    instance: Instance, step: str, due_at: datetime, *, awaits: str = "", wanted_at: datetime | None = None
) -> Instance:
    return Instance(
        instance.instance_id,
        instance.flow,
        instance.flow_version,
        instance.order_id,
        instance.parcel_id,
        step,
        due_at,
        instance.started_at,
        awaits,
        wanted_at,
        instance.about,
        instance.reward,
    )


def _await(turn: Turn, instance: Instance, others: tuple[Instance, ...]) -> None:
    turn.instances = (*others, instance)
    turn.changed = True
    turn.effects.append(
        ScheduleStep(
            timer_id=ids.timer_id(instance.instance_id, instance.step, instance.due_at),
            customer_id=turn.customer_id,
            instance_id=instance.instance_id,
            flow=instance.flow,
            step=instance.step,
            due_at=instance.due_at,
        )
    )


def _others(turn: Turn, instance_id: str) -> tuple[Instance, ...]:
    return tuple([other for other in turn.instances if other.instance_id != instance_id])


def _end(turn: Turn, instance_id: str) -> None:
    turn.instances = _others(turn, instance_id)
    _note_end(turn, instance_id)


def _note_end(turn: Turn, instance_id: str) -> None:
    turn.ended_marks = turn.with_mark(turn.ended_marks, bytes.fromhex(instance_id)[:8])
    turn.changed = True


def _go_on(turn: Turn, program: Program, instance: Instance, view: View, start: datetime, path: str | None) -> None:
    """Take an instance that waited on from `path`."""
    waiting = _run(turn, program, instance, view, start, path)
    if waiting is not None:
        _await(turn, waiting, _others(turn, waiting.instance_id))
    else:
        _end(turn, instance.instance_id)


def wake(turn: Turn, event: StepDue) -> None:
    """Go on with the instance that waits for this very timer. A timer nobody waits for changes nothing."""
    instance = next((one for one in turn.instances if one.instance_id == event.instance_id), None)
    if instance is None or instance.step != event.step or instance.due_at != event.due_at:
        return
    if instance.step == DAY_STEP:
        (_begin_launch if instance.is_launch else _begin_day)(turn, instance)
        return
    ready = _ready(turn, instance)
    if ready is None:
        return
    program, instance, view = ready
    step, path = program.steps[instance.step], instance.step
    following: str | None = path
    if instance.awaits.startswith(CODE_OF):
        if isinstance(step, Reward) and instance.awaits == CODE_OF + step.pool:
            words = f"no code of the pool {step.pool} came in time; goes on without one"
            order_id = instance.order_id or None
            turn.decide(program.flow, instance.instance_id, path, "skip", "pool_empty", words, order_id=order_id)
            following = program.following[path]
    elif isinstance(step, WaitFor) and instance.awaits:
        following = program.way(step, 1)
    _go_on(turn, program, instance, view, turn.now, following)


def take_code(turn: Turn, event: CodeGranted) -> None:
    """Go on with the instance that waits for this code. One that nobody waits for any more is logged; one told twice changes nothing."""
    if not turn.is_first_time("code", event.pool, event.reward_id):
        return
    place = (event.instance_id, event.step, CODE_OF + event.pool)
    instance = next((one for one in turn.instances if (one.instance_id, one.step, one.awaits) == place), None)
    if instance is None:
        rewards.too_late(turn, event, "the run ended or went on without it")
        return
    ready = _ready(turn, instance)
    if ready is None:
        rewards.too_late(turn, event, "the run ended before it came")
        return
    program, instance, view = ready
    step, path = program.steps[instance.step], instance.step
    if isinstance(step, Reward) and step.pool == event.pool and program.flow.status != "draft":
        instance = rewards.take(turn, program.flow, instance, step, event)
        _go_on(turn, program, instance, view, turn.now, program.following[path])
    else:
        rewards.too_late(turn, event, "the flow was changed and no longer gives it there")
        _go_on(turn, program, instance, view, turn.now, path)


def _ready(turn: Turn, instance: Instance) -> tuple[Program, Instance, View] | None:
    """The waiting instance as it goes on now, its flow, and what conditions may look at; None if it ends here, for a reason that is logged."""
    instance = _settle(turn, instance, _moved(turn, instance))
    program = turn.world.program(instance.flow, instance.flow_version, instance.step)
    order = turn.order(instance.order_id)
    if program is None:
        _end(turn, instance.instance_id)
        _decide_without_program(turn, instance)
        return None
    flow = program.flow
    if order is None and instance.order_id:
        words = f"more than {turn.world.limits.orders} orders; this one is no longer remembered"
        turn.decide(flow, instance.instance_id, instance.step, "limit", "orders", words, order_id=instance.order_id)
        _end(turn, instance.instance_id)
        return None
    view = View(turn, order, order.parcel(instance.parcel_id) if order is not None else None, instance.about)
    reason = _leaving(view, flow, instance.started_at)
    if reason is not None:
        _exit(turn, flow, instance, reason)
        return None
    return program, instance, view


def _moved(turn: Turn, instance: Instance) -> Instance:
    """The instance as it goes on after migrations: itself if there are none for it.

    It goes on under another id. Its steps have other paths now, and what was sent from a path before must not be taken for what is sent from
    it now.
    """
    world = turn.world
    if not world.migrations:
        return instance
    version, step = world.moved(instance.flow, instance.flow_version, instance.step)
    if version == instance.flow_version:
        return instance
    return replace(
        instance,
        instance_id=ids.migrated_id(instance.instance_id, version),
        flow_version=version,
        step=step,
        wanted_at=instance.wanted_at if _is_same_mail(turn, instance, version, step) else None,
        about=(*instance.about, (_WAS, instance.instance_id)),
    )


def _is_same_mail(turn: Turn, instance: Instance, version: int, step: str) -> bool:
    found = (
        turn.world.program(instance.flow, instance.flow_version, instance.step),
        turn.world.program(instance.flow, version, step),
    )
    sends = [
        program.steps[path] for program, path in zip(found, (instance.step, step), strict=True) if program is not None
    ]
    messages = [one.message for one in sends if isinstance(one, Send)]
    return len(messages) == 2 and messages[0] == messages[1]


def _settle(turn: Turn, instance: Instance, moved: Instance) -> Instance:
    """Put the instance that goes on in the place of the one that was; it has to go on at once, since no timer knows it yet."""
    program = turn.world.program(moved.flow, moved.flow_version, moved.step)
    if moved is instance or program is None:
        return instance
    words = f"goes on at step {moved.step} of version {moved.flow_version} as run {moved.instance_id}"
    turn.decide(
        program.flow,
        instance.instance_id,
        instance.step,
        "schedule",
        "migrated",
        words,
        order_id=instance.order_id or None,
    )
    turn.instances = tuple([moved if one is instance else one for one in turn.instances])
    _note_end(turn, instance.instance_id)
    return moved


def _resume(
    turn: Turn,
    name: str,
    order: OrderState | None,
    parcel: Parcel | None,
    at: datetime,
    about: About,
    send_id: str | None,
) -> None:
    """Go on with the instances that wait for this event."""
    for instance in turn.instances:
        if instance.awaits != name or not _is_meant(turn, instance, name, order, send_id):
            continue
        moved = _moved(turn, instance)
        program = turn.world.program(moved.flow, moved.flow_version, moved.step)
        step = program.steps[moved.step] if program is not None else None
        if program is None or not isinstance(step, WaitFor):
            continue
        told = (*about, *(known for known in moved.about if known[0] not in dict(about)))
        own = turn.order(instance.order_id) or order
        view = View(turn, own, parcel or (own.parcel(instance.parcel_id) if own is not None else None), told)
        view.reward = moved.reward
        if step.where is None or step.where.holds(view):
            path = program.way(step, 0)
            _settle(turn, instance, moved)
            if _has_reached_goal(program.flow, view):
                _exit(turn, program.flow, moved, "goal")
                continue
            _go_on(turn, program, replace(moved, about=told), view, min(at, turn.now), path)


def _is_meant(turn: Turn, instance: Instance, name: str, order: OrderState | None, send_id: str | None) -> bool:
    """Whether an event is one of those that the instance waits for: of its own order, or its own mails."""
    if name.startswith("mail."):
        steps = [sent.step for sent in turn.sends if sent.send_id == send_id]
        own = [instance.instance_id, *(value for name, value in instance.about if name == _WAS)]
        return any(ids.send_id(run, step) == send_id for run in own for step in steps)
    if name in ("order.placed", "survey.answered"):
        return True
    return order is not None and order.order_id == instance.order_id


def plan_days(turn: Turn) -> None:
    """See that the flows on days of the customer's (see flow.DATES) are waiting for the next one."""
    for name in DATES:
        for program in turn.world.by_trigger.get(name, ()):
            _plan_day(turn, program, turn.now)


def _plan_day(turn: Turn, program: Program, after: datetime) -> None:
    flow, first_order = program.flow, turn.first_order_at
    where = turn.zone_of(None)
    day = turn.profile.birthday
    if flow.trigger.on == "customer.anniversary":
        day = first_order.astimezone(where).date() if first_order is not None else None
    if day is None:
        return
    due_at = local_time.next_day(day, after, where, flow.trigger.before)
    instance_id = ids.instance_id(turn.customer_id, flow.name, "day")
    known = next((one for one in turn.instances if one.instance_id == instance_id), None)
    if known is not None and known.due_at == due_at:
        return
    others = _others(turn, instance_id)
    if len(others) >= turn.world.limits.instances:
        words = f"more than {turn.world.limits.instances} flows at once"
        turn.decide(flow, instance_id, DAY_STEP, "limit", "instances", words, moment=local_time.text_of(due_at))
        return
    _await(turn, Instance(instance_id, flow.name, flow.version, "", None, DAY_STEP, due_at, turn.now), others)


def _begin_day(turn: Turn, waiting: Instance) -> None:
    """Start the flow whose day has come, and wait for the next year's."""
    turn.instances = _others(turn, waiting.instance_id)
    turn.changed = True
    program = turn.world.newest(waiting.flow)
    if program is None or program.flow.trigger.on not in DATES:
        _decide_without_program(turn, waiting)
        return
    key = f"day/{local_time.text_of(waiting.due_at)}"
    instance_id = ids.instance_id(turn.customer_id, program.flow.name, key)
    _start_once(turn, program, instance_id, program.flow.trigger.on, View(turn, None), waiting.due_at)
    _plan_day(turn, program, max(turn.now, waiting.due_at))


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
    if _is_known(turn, _launched_id(turn, flow, sku)):
        return
    instance_id = ids.instance_id(turn.customer_id, flow.name, f"launch/{sku}")
    known = next((one for one in turn.instances if one.instance_id == instance_id), None)
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
    others = _others(turn, instance_id)
    waiting = Instance(instance_id, flow.name, flow.version, "", None, DAY_STEP, due_at, first_seen, about=about)
    if due_at <= turn.now:
        turn.instances = others
        _start_launch(turn, program, waiting)
    elif known is None and not _has_room(turn, flow, waiting):
        return
    elif known is None or known.due_at != due_at:
        _await(turn, waiting, others)
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
    _start_once(turn, program, instance_id, LAUNCH, view, started_at)


def _begin_launch(turn: Turn, waiting: Instance) -> None:
    """Start the flow that waits for a launch, or wait on if it begins later by now."""
    others = _others(turn, waiting.instance_id)
    turn.instances = others
    turn.changed = True
    program = turn.world.newest(waiting.flow)
    if program is None or program.flow.trigger.on != LAUNCH:
        _decide_without_program(turn, waiting)
        return
    launches_at = datetime.fromisoformat(dict(waiting.about)["launches_at"])
    due_at = _before_launch(turn, program.flow, launches_at)
    if due_at > turn.now:
        _await(turn, replace(waiting, flow_version=program.flow.version, due_at=due_at), others)
        return
    _start_launch(turn, program, waiting)


def watch_segments(turn: Turn) -> None:
    """Start the flows on segments that the customer has entered or left since the last event."""
    view = View(turn, None)
    members = tuple([name for name in turn.world.watched if turn.world.segments[name].holds(view)])
    before = turn.segments
    if members == before:
        return
    turn.segments = members
    turn.changed = True
    for name in turn.world.watched:
        if (name in members) != (name in before):
            kind = "segment.entered" if name in members else "segment.left"
            happened(turn, kind, None, None, turn.now, about=(("segment", name),))


def _decide_without_program(turn: Turn, instance: Instance) -> None:
    turn.effects.append(
        LogDecision(
            decision_id=ids.decision_id(instance.instance_id, instance.step, "flow_gone"),
            customer_id=turn.customer_id,
            flow=instance.flow,
            flow_version=instance.flow_version,
            instance_id=instance.instance_id,
            step=instance.step,
            outcome="exit",
            rule="flow_gone",
            detail="the flow, or this step of it, is no longer there",
            send_id=None,
            order_id=instance.order_id or None,
            decided_at=turn.now,
        )
    )


def leave(turn: Turn, name: str, order_id: str | None) -> None:
    """End the waiting instances that the event `name` ends: those of `order_id`, or all the customer's if it is None."""
    if name not in turn.world.exits:
        return
    for instance in turn.instances:
        program = turn.world.program(instance.flow, instance.flow_version, instance.step)
        if program is None or name not in program.flow.exit_on:
            continue
        if order_id is not None and instance.order_id != order_id:
            continue
        order = turn.order(instance.order_id)
        if order is None and instance.order_id:
            continue
        reason = exit_reason(turn, program.flow, order, instance.started_at)
        if reason is not None:
            _exit(turn, program.flow, instance, reason)


def _exit(turn: Turn, flow: Flow, instance: Instance, reason: str) -> None:
    turn.decide(
        flow,
        instance.instance_id,
        instance.step,
        "exit",
        reason,
        f"left the flow: {reason}",
        order_id=instance.order_id or None,
    )
    _end(turn, instance.instance_id)


def _has_reached_goal(flow: Flow, view: View) -> bool:
    return flow.goal is not None and flow.goal.holds(view)


def _leaving(view: View, flow: Flow, started_at: datetime) -> str | None:
    """Why an instance goes no further: an exit event of its flow that has come true, or its goal."""
    ended = exit_reason(view.turn, flow, view.order, started_at)
    return ended or ("goal" if _has_reached_goal(flow, view) else None)


def exit_reason(turn: Turn, flow: Flow, order: OrderState | None, started_at: datetime) -> str | None:
    """The first of the flow's exit events that has come true by now. Without an order of its own a flow ends with any order's event."""
    for name in flow.exit_on:
        if name == "order.placed":  # another one since
            is_true = any(
                other.placed
                and (order is None or other.order_id != order.order_id)
                and other.facts is not None
                and other.facts.placed_at > started_at
                for other in turn.orders
            )
        elif name == "customer.unsubscribed":
            is_true = bool(turn.consent.unsubscribed)
        elif order is None:
            is_true = False
        elif name == "order.refunded":
            is_true = order.refunded_at is not None
        elif name == "order.paid":
            is_true = order.paid_at is not None
        elif name == "order.cancelled":
            is_true = order.cancelled_at is not None
        else:
            is_true = any(parcel.has("returned") for parcel in order.parcels)
        if is_true:
            return name
    return None
