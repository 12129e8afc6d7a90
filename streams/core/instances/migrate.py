"""Migrations: move waiting instances to a newer version of their flow."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.instances.exits import mark_finished
from streams.core.instances.waiting import replace_instance
from streams.core.model.instance import EARLIER_ID, Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Send
from streams.core.values import ids


def migrated(uow: UnitOfWork, instance: Instance) -> Instance:
    """Return the instance as migrations move it, or `instance` itself if none applies.

    A migrated instance has a new id. Its steps have other paths, and an email that an old path sent must not count as sent from
    the new path.
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
        wanted_at=instance.wanted_at if _sends_same_message(uow, instance, version, step) else None,
        trigger_data=(*instance.trigger_data, (EARLIER_ID, instance.instance_id)),
    )


def _sends_same_message(uow: UnitOfWork, instance: Instance, version: int, step: str) -> bool:
    messages = []
    for flow_version, path in ((instance.flow_version, instance.step), (version, step)):
        compiled = uow.ruleset.find_flow(instance.flow, flow_version, path)
        send = compiled.steps[path] if compiled is not None else None
        if not isinstance(send, Send):
            return False
        messages.append(send.message)
    return messages[0] == messages[1]


def apply_migration(uow: UnitOfWork, instance: Instance, moved: Instance) -> Instance:
    """Store `moved`, as `migrated` returns it, in place of `instance`; return the instance that is stored now.

    The instance must continue at once, because no timer knows its new id.
    """
    compiled = uow.ruleset.find_flow(moved.flow, moved.flow_version, moved.step)
    if moved is instance or compiled is None:
        return instance
    detail = f"continues at step {moved.step} of version {moved.flow_version} as instance {moved.instance_id}"
    uow.decisions(compiled.flow, instance).schedule("migrated", detail)
    replace_instance(uow, instance, moved)
    mark_finished(uow, instance.instance_id)
    return moved
