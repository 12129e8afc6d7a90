"""The flows of two customer ids that are one person: each flow once per order, parcel, product or customer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from streams.core.instances.exits import exit_instance, fingerprint_of, mark_finished
from streams.core.instances.expiry import has_room
from streams.core.instances.start import has_instance
from streams.core.instances.waiting import suspend
from streams.core.model.customer import Customer
from streams.core.model.instance import EARLIER_ID, Instance, LastStart
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers.rewards import withdraw_claim_of
from streams.core.triggers.launches import LAUNCHES_AT, SKU, schedule_launch
from streams.core.values import fingerprints, ids, local_time

#: The rule of an instance that ends because the other customer id is, or was, in the same flow.
ALREADY_IN_FLOW = "already_in_flow"


def merge_flows(uow: UnitOfWork, other: Customer, own_ids: tuple[str, ...], their_ids: tuple[str, ...]) -> None:
    """Continue the waiting instances of another customer state. Their timers are scheduled again, for this customer.

    An instance ends if this customer is, or was, in the same flow for the same order, parcel, product or customer. Dates and segments of
    the person are scheduled by this customer alone.

    Args:
        uow: the customer; the fingerprints of finished instances are still its own.
        other: the other state.
        own_ids, their_ids: the customer ids by which the instances of each may have started.
    """
    launches: list[Instance] = []
    ended = set(fingerprints.entries(other.finished_fingerprints))
    for instance in uow.instances if ended else ():
        for flow_id in _same_flow(instance, own_ids, their_ids):
            if fingerprint_of(flow_id) in ended:
                _end_own(uow, instance)
                break
    for instance in other.instances:
        if has_instance(uow, instance.instance_id):
            continue
        if not instance.has_started:
            launches += [instance] if instance.waits_for_launch else []
            if instance.waits_for_expiry and has_room(uow, instance):
                suspend(uow, instance, uow.instances)
            continue
        same_flow = _same_flow(instance, their_ids, own_ids)
        if any(has_instance(uow, same) for same in same_flow) or _runs_again(uow, instance, own_ids, their_ids):
            uow.decisions(None, instance).exit(
                ALREADY_IN_FLOW, "the customer that it was merged into has the same flow"
            )
            _drop(uow, instance)
        elif len(uow.instances) >= _limit(uow, instance):
            uow.decisions(None, instance).limit("instances", f"more than {_limit(uow, instance)} flows at once")
            _drop(uow, instance)
        else:
            suspend(uow, instance, uow.instances)
    for instance in launches:
        data = dict(instance.trigger_data)
        schedule_launch(uow, data[SKU], datetime.fromisoformat(data[LAUNCHES_AT]), instance.started_at)


def merged_last_starts(own: tuple[LastStart, ...], other: tuple[LastStart, ...], most: int) -> tuple[LastStart, ...]:
    """Return the newest start of each flow, the oldest first."""
    newest: dict[bytes, LastStart] = {}
    for start in (*other, *own):
        stored = newest.get(start.fingerprint)
        if stored is None or start.at > stored.at:
            newest[start.fingerprint] = start
    return tuple(sorted(newest.values(), key=lambda start: (start.at, start.fingerprint))[-most:])


def _drop(uow: UnitOfWork, instance: Instance) -> None:
    withdraw_claim_of(uow, instance)
    mark_finished(uow, instance.instance_id)


def _end_own(uow: UnitOfWork, instance: Instance) -> None:
    compiled = uow.ruleset.newest_flow(instance.flow)
    if compiled is not None:
        exit_instance(uow, compiled.flow, instance, ALREADY_IN_FLOW)


def _limit(uow: UnitOfWork, instance: Instance) -> int:
    compiled = uow.ruleset.newest_flow(instance.flow)
    return uow.ruleset.limits.instances_of(is_transactional=compiled is not None and compiled.flow.is_transactional)


def _same_flow(instance: Instance, from_ids: tuple[str, ...], to_ids: tuple[str, ...]) -> Iterator[str]:
    """Yield the ids that the instance would have if one of `to_ids` had started it instead of one of `from_ids`."""
    key = _key_of(instance, from_ids)
    if key is not None:
        for customer_id in to_ids:
            yield ids.instance_id(customer_id, instance.flow, key)


def _runs_again(uow: UnitOfWork, instance: Instance, own_ids: tuple[str, ...], their_ids: tuple[str, ...]) -> bool:
    """Return whether a flow that may start again runs for the same key, from another time on."""
    key = _key_of(instance, their_ids)
    base = key.rpartition("@")[0] if key is not None else ""
    return bool(base) and any(
        other.flow == instance.flow and (_key_of(other, own_ids) or "").rpartition("@")[0] == base
        for other in uow.instances
    )


def _key_of(instance: Instance, customer_ids: tuple[str, ...]) -> str | None:
    """Return the key by which an instance started, as `instances/start.py` makes it; None if it is not known."""
    began = {instance.instance_id, *(value for name, value in instance.trigger_data if name == EARLIER_ID)}
    order, at = instance.order_id, local_time.text_of(instance.started_at)
    bases = ["customer", order, f"{order}/{instance.parcel_id}"]
    bases += [f"product/{value}" for name, value in instance.trigger_data if name == SKU]
    # The date of a birthday is that of the customer's time zone.
    bases += [f"day/{(instance.started_at + timedelta(days=days)).date().isoformat()}" for days in (-1, 0, 1)]
    for customer_id in customer_ids:
        for base in bases:
            for key in (base, f"{base}@{at}"):
                if ids.instance_id(customer_id, instance.flow, key) in began:
                    return key
    return None
