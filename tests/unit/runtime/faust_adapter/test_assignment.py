"""The assignment of a worker that returns with other topics than before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor.client_assignment import ClientAssignment, ClientMetadata
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.app import App
from streams.runtime.faust_adapter.assignment import Assignor, Subscription

TOPICS = st.sets(st.sampled_from(["orders", "due", "extra", "table-changelog", "old-changelog"]))
PARTITIONS = st.lists(st.integers(0, 3), max_size=4, unique=True)
ASSIGNED = st.dictionaries(st.sampled_from(["orders", "due", "extra", "table-changelog", "old-changelog"]), PARTITIONS)


@given(subscribed=TOPICS.filter(bool), assigned=ASSIGNED)
def test_only_subscribed_topics_are_assigned(subscribed: set[str], assigned: dict[str, list[int]]) -> None:
    """Whatever topics the group assigns, the worker has those that it subscribes, and knows the names of the others."""
    partitions = [TP(topic, number) for topic, numbers in assigned.items() for number in numbers]

    async def assign() -> Subscription:
        subscription = Subscription()
        subscription.register_fetch_waiters(set())
        subscription.subscribe(subscribed)
        subscription.assign_from_subscribed(partitions)
        return subscription

    subscription = asyncio.run(assign())
    assert subscription.assigned_partitions() == {tp for tp in partitions if tp.topic in subscribed}
    assert set(subscription.unread_topics) == {tp.topic for tp in partitions} - subscribed


def assignor(folder: Path) -> Assignor:
    """Return the assignor of an app."""
    app = App("app", {}, brokers="kafka://a:1", partitions=4, state_dir=folder)
    found: Assignor = app.faust.assignor
    return found


def assignment(actives: dict[str, list[int]], standbys: dict[str, list[int]], url: str) -> Any:
    """Return an assignment as a leader sends it that knows no changelogs."""
    metadata = ClientMetadata(
        assignment=ClientAssignment(actives=actives, standbys=standbys),
        url=url,
        changelog_distribution={},
        external_topic_distribution={},
        topic_groups={},
    )
    return ConsumerProtocolMemberAssignment(4, sorted(actives.items()), Assignor._compress(metadata.dumps()))


def test_the_app_uses_the_assignor(tmp_path: Path) -> None:
    """Faust's own assignor would stop the coordinator instead."""
    assert type(assignor(tmp_path)) is Assignor


@given(subscribed=TOPICS, actives=ASSIGNED, standbys=ASSIGNED)
def test_the_assignor_takes_any_assignment(
    tmp_path_factory: Any, subscribed: set[str], actives: dict[str, list[int]], standbys: dict[str, list[int]]
) -> None:
    """An assignment of another version, made for another host name, is taken over as far as its topics are subscribed."""
    one = Assignor(_app(tmp_path_factory))
    one.metadata(subscribed)
    one.on_assignment(assignment(actives, standbys, "http://a-former-host:6066"))
    assert one.assigned_actives() == {TP(t, n) for t, numbers in actives.items() if t in subscribed for n in numbers}
    assert one.assigned_standbys() == {TP(t, n) for t, numbers in standbys.items() if t in subscribed for n in numbers}
    assert set(one._metadata.assignment.actives) <= subscribed


_APPS: list[Any] = []


def _app(tmp_path_factory: Any) -> Any:
    """Return one Faust app for all examples."""
    if not _APPS:
        _APPS.append(assignor(tmp_path_factory.mktemp("app")).app)
    return _APPS[0]
