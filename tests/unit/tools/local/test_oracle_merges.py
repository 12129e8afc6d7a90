"""The oracle of merged customers: it reports nothing for a correct history, and each kind of difference by name."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.model.customer import Merge
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.values import ids
from streams.tools.local.oracle_merges import check_merges
from streams.tools.local.verdict import Verdict
from streams.wire import topics
from tests.harness.cluster import CODEC, HOUR_MS, Cluster, named
from tests.harness.events import shop_ruleset
from tests.harness.kafka_fakes import Record

ANNA, GUEST = named("anna", 0), named("guest", 1)


@pytest.fixture
def cluster() -> Cluster:
    """A guest whose order is shipped before and after the guest is merged into Anna."""
    cluster = Cluster(shop_ruleset())
    cluster.order(GUEST)
    cluster.merge(GUEST, ANNA)
    cluster.parcel(GUEST, "shipped")
    cluster.advance(HOUR_MS)
    return cluster


def problems(cluster: Cluster, states: dict[str, Any] | None = None) -> list[str]:
    """Return the kinds of problems, with `states` in the place of those of the cluster."""
    verdict = Verdict()
    for part in cluster.parts:
        verdict.states.update({key: encode_customer(state) for key, state in part.states.items()})
    verdict.states.update({key.encode(): encode_customer(state) for key, state in (states or {}).items()})
    check_merges(cluster.records, CODEC, cluster.ruleset, verdict)
    return [problem.partition(":")[0] for problem in verdict.problems]


def without(cluster: Cluster, topic: str, message: str) -> None:
    """Remove the commands, or the decisions, of a message or step."""
    cluster.records[topic] = [
        record
        for record in cluster.records[topic]
        if message not in CODEC.decode(topics.SCHEMA_OF[topic], record.value()).values()
    ]


def test_a_correct_history(cluster: Cluster) -> None:
    """Nothing is reported."""
    assert problems(cluster) == []


@pytest.mark.parametrize("message", ["confirmation", "shipped"])
def test_a_lost_email(cluster: Cluster, message: str) -> None:
    """The order and the parcel require an email of one of the ids, or a decision against it."""
    without(cluster, topics.COMMANDS, message)
    assert problems(cluster) == ["emails that a merge lost"]


@pytest.mark.parametrize(("rule", "expected"), [("no_address", []), ("already_in_flow", ["emails that a merge lost"])])
def test_an_email_that_was_decided_against(cluster: Cluster, rule: str, expected: list[str]) -> None:
    """A decision to send none explains the missing email, unless it says that the person's other id sends it."""
    (command,) = [each for each in cluster.decoded(topics.COMMANDS) if each["message"] == "shipped"]
    without(cluster, topics.COMMANDS, "shipped")
    decision = cluster.decoded(topics.DECISIONS)[0] | {
        "instance_id": command["instance_id"],
        "outcome": "skip",
        "rule": rule,
    }
    cluster.records[topics.DECISIONS].append(Record(0, body=CODEC.encode("flow_decision", decision)))
    assert problems(cluster) == expected


def test_a_cancelled_order_needs_no_email(cluster: Cluster) -> None:
    """A cancellation may come first, under another id."""
    cluster.order(ANNA, kind="cancelled")
    without(cluster, topics.COMMANDS, "confirmation")
    without(cluster, topics.COMMANDS, "shipped")
    assert problems(cluster) == []


def test_an_email_of_both_ids(cluster: Cluster) -> None:
    """The instances of both ids have sent."""
    (command,) = [each for each in cluster.decoded(topics.COMMANDS) if each["message"] == "confirmation"]
    again = command | {"instance_id": ids.instance_id(ANNA, "order-confirmation", "o1")}
    cluster.records[topics.COMMANDS].append(Record(0, body=CODEC.encode("email_command", again)))
    assert problems(cluster) == ["flows that sent to two ids of a person"]


def test_wrong_totals(cluster: Cluster) -> None:
    """Each order of the ids counts once."""
    anna = cluster.state(ANNA)
    assert anna is not None
    for wrong in (replace(anna, purchases=2), replace(anna, spend=())):
        assert problems(cluster, {ANNA: wrong}) == ["merged customers with wrong totals"]


def test_ids_that_are_not_one_customer(cluster: Cluster) -> None:
    """The guest must lead to Anna, whether or not the shop tried to merge the guest into somebody else later."""
    guest = cluster.state(GUEST)
    assert guest is not None
    expected = ["merged ids that are not one customer"]
    assert problems(cluster, {GUEST: replace(guest, merge=None)}) == expected
    assert problems(cluster, {GUEST: replace(guest, merge=Merge(into="another"))}) == expected
    cluster.merge(GUEST, "another")
    assert problems(cluster) == []
    assert decode_customer(encode_customer(guest)) == cluster.state(GUEST)


def test_merges_in_a_circle() -> None:
    """Either id may be the customer's, whichever of the merges is refused."""
    for first, second in ((ANNA, GUEST), (GUEST, ANNA)):
        cluster = Cluster(shop_ruleset())
        cluster.order(GUEST)
        cluster.merge(first, second)
        cluster.merge(second, first)
        assert problems(cluster) == []
        state = cluster.state(second)
        assert state is not None
        assert problems(cluster, {second: replace(state, purchases=5)}) != []


def test_an_erased_person_is_not_judged(cluster: Cluster) -> None:
    """Nothing is stored of the person, and nothing is required."""
    cluster.put(topics.CUSTOMERS, ANNA, None)
    cluster.run()
    assert problems(cluster) == []


def test_a_person_into_whom_an_erased_id_was_merged_is_not_judged(cluster: Cluster) -> None:
    """Aliases end with the erasure, so the guest's orders may count for somebody else from then on."""
    cluster.merge(named("other", 0), named("bo", 1))
    cluster.put(topics.CUSTOMERS, ANNA, None)
    cluster.run()
    cluster.merge(GUEST, named("bo", 1))
    cluster.order(GUEST, "o2")
    bo = cluster.state(named("bo", 1))
    assert bo is not None
    assert bo.purchases == 1
    assert problems(cluster) == []
