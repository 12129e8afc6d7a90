"""Runs that a migration of their flow moves: what they go on as, and where."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.instances.exits import mark_finished
from streams.core.model.customer import Instance
from streams.core.model.flow import Send
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids

#: By this name an instance that a migration moved knows the run that it was: mails of then are its own.
WAS = "run"


def migrated(uow: UnitOfWork, instance: Instance) -> Instance:
    """The instance as it goes on after migrations: itself if there are none for it.

    It goes on under another id. Its steps have other paths now, and what was sent from a path before must not be taken for what is sent from
    it now.
    """
    ruleset = uow.ruleset
    if not ruleset.migrations:
        return instance
    version, step = ruleset.migrate_position(instance.flow, instance.flow_version, instance.step)
    if version == instance.flow_version:
        return instance
    return replace(
        instance,
        instance_id=ids.migrated_id(instance.instance_id, version),
        flow_version=version,
        step=step,
        wanted_at=instance.wanted_at if _is_same_mail(uow, instance, version, step) else None,
        about=(*instance.about, (WAS, instance.instance_id)),
    )


def _is_same_mail(uow: UnitOfWork, instance: Instance, version: int, step: str) -> bool:
    found = (
        uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step),
        uow.ruleset.find_flow(instance.flow, version, step),
    )
    sends = [
        compiled.steps[path]
        for compiled, path in zip(found, (instance.step, step), strict=True)
        if compiled is not None
    ]
    messages = [one.message for one in sends if isinstance(one, Send)]
    return len(messages) == 2 and messages[0] == messages[1]


def settle(uow: UnitOfWork, instance: Instance, moved: Instance) -> Instance:
    """Put the instance that goes on in the place of the one that was; it has to go on at once, since no timer knows it yet."""
    compiled = uow.ruleset.find_flow(moved.flow, moved.flow_version, moved.step)
    if moved is instance or compiled is None:
        return instance
    words = f"goes on at step {moved.step} of version {moved.flow_version} as run {moved.instance_id}"
    uow.decide(
        compiled.flow,
        instance.instance_id,
        instance.step,
        "schedule",
        "migrated",
        words,
        order_id=instance.order_id or None,
    )
    uow.instances = tuple([moved if one is instance else one for one in uow.instances])
    mark_finished(uow, instance.instance_id)
    return moved
