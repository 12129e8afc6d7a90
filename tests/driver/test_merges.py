"""Merges on records: through the handler of the flows agent, over two partitions, and judged by the oracle."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streams.core.values.local_time import utc_from_ms
from streams.wire import topics
from streams.wire.validation import ValidationFailed
from tests.harness import records
from tests.harness.cluster import DAY_MS, DECODER, HOUR_MS, Cluster, named
from tests.harness.events import shop_ruleset

ANNA = named("anna", 0)
GUESTS = {"the same partition": named("guest", 0), "another partition": named("guest", 1)}


@pytest.fixture(params=sorted(GUESTS))
def guest(request: pytest.FixtureRequest) -> str:
    """A guest's customer id, on the customer's partition or on another one."""
    return GUESTS[request.param]


@pytest.fixture
def cluster(guest: str) -> Cluster:
    """A cluster with a guest's order, an hour before the guest is merged into Anna."""
    cluster = Cluster(shop_ruleset())
    cluster.order(guest)
    cluster.advance(HOUR_MS)
    cluster.merge(guest, ANNA)
    return cluster


def test_all_records_of_a_guest_reach_the_customer(cluster: Cluster, guest: str) -> None:
    """Parcels, opens and timers under the guest's id continue the guest's flows, once, and the oracle finds the same outputs."""
    (confirmation,) = cluster.decoded(topics.COMMANDS)
    opened = records.engagement("opened", customer_id=guest, send_id=confirmation["send_id"], agent="human")
    cluster.produce(topics.ENGAGEMENT, opened | {"occurred_at": utc_from_ms(cluster.now_ms)})
    cluster.parcel(guest, "shipped")
    cluster.parcel(ANNA, "delivered")
    cluster.advance(10 * DAY_MS)
    assert sorted(cluster.messages()) == ["ask-first-time", "confirmation", "first-time", "shipped"]
    anna, alias = cluster.state(ANNA), cluster.state(guest)
    assert anna is not None
    assert alias is not None
    assert (anna.purchases, alias.orders, alias.merge and alias.merge.into) == (1, (), ANNA)
    assert [sent.opened_at is not None for sent in anna.sends if sent.send_id == confirmation["send_id"]] == [True]
    verdict = cluster.verdict()
    assert (verdict.problems, verdict.lost, verdict.duplicates) == ([], [], [])
    assert set(verdict.states) == {ANNA.encode(), guest.encode()}


def test_a_parcel_that_arrives_before_the_hand_over_is_announced(guest: str) -> None:
    """The shop already writes parcels under the customer's id while the merge is on its way: their emails follow the hand-over."""
    cluster = Cluster(shop_ruleset())
    cluster.order(guest)
    cluster.parcel(ANNA, "shipped")
    assert cluster.messages() == ["confirmation"]
    cluster.merge(guest, ANNA)
    assert cluster.messages() == ["confirmation", "shipped"]
    assert cluster.verdict().problems == []


def test_a_parcel_that_both_ids_have_is_announced_once(guest: str) -> None:
    """The shop reports a parcel under the guest's id, and again under the customer's before the merge: the guest's email is the only one."""
    cluster = Cluster(shop_ruleset())
    cluster.order(guest)
    cluster.parcel(guest, "shipped")
    cluster.parcel(ANNA, "shipped")
    cluster.merge(guest, ANNA)
    assert cluster.messages() == ["confirmation", "shipped"]
    assert cluster.verdict().problems == []


def test_a_retry_keeps_its_send_id_and_its_partition(cluster: Cluster, guest: str) -> None:
    """The mailer tries an email of the guest again where its send ledger knows it."""
    (first,) = cluster.records[topics.COMMANDS]
    command = DECODER.command(first.value(), [])
    cluster.retry(first.value(), timedelta(minutes=1))
    cluster.advance(HOUR_MS)
    again = cluster.records[topics.COMMANDS][-1]
    retry = DECODER.command(again.value(), [])
    assert (again.key(), retry.send_id, retry.attempt) == (first.key(), command.send_id, 2)


def test_the_report_of_an_email_to_the_guest_is_stored_with_the_customer(cluster: Cluster, guest: str) -> None:
    """The outcome of an email that was on its way is that of the customer's send."""
    (command,) = cluster.decoded(topics.COMMANDS)
    cluster.produce(topics.EVENTS, records.email_event(customer_id=guest, send_id=command["send_id"]))
    anna = cluster.state(ANNA)
    assert anna is not None
    assert [sent.outcome for sent in anna.sends] == ["sent"]


def test_a_forwarded_record_keeps_its_bytes_and_its_time(cluster: Cluster, guest: str) -> None:
    """The record within has the shop's bytes, the timestamp of its first record, and the ids that it passed through."""
    at = cluster.now_ms
    cluster.parcel(guest, "shipped")
    forwarded = cluster.decoded(topics.HANDOVERS)[-1]
    shipment = cluster.records[topics.SHIPMENTS][-1]
    assert forwarded["kind"] == "record"
    assert (forwarded["topic"], forwarded["value"]) == (topics.SHIPMENTS, shipment.value())
    assert (forwarded["occurred_at"], forwarded["path"]) == (utc_from_ms(at), [guest])
    command = cluster.records[topics.COMMANDS][-1]
    assert dict(command.headers() or [])[topics.DUE_AT_HEADER] == b"%d" % at


def test_erasing_the_customer_erases_what_came_from_the_guest(cluster: Cluster, guest: str) -> None:
    """The alias ends, and nothing is stored under either id."""
    cluster.put(topics.CUSTOMERS, ANNA, None)
    cluster.run()
    assert (cluster.state(ANNA), cluster.state(guest)) == (None, None)
    assert cluster.verdict().problems == []


def test_a_refusal_stays_under_both_ids_after_an_erasure(cluster: Cluster, guest: str) -> None:
    """The refusals of the person protect the guest's id too, although the alias has ended."""
    unsubscribed = {"customer_id": guest, "scope": "marketing", "occurred_at": utc_from_ms(cluster.now_ms)}
    cluster.produce(topics.ENGAGEMENT, records.engagement("unsubscribed", **unsubscribed))
    cluster.put(topics.CUSTOMERS, ANNA, None)
    cluster.run()
    for customer_id in (ANNA, guest):
        state = cluster.state(customer_id)
        assert state is not None
        assert (state.consent.unsubscribed, state.merge, state.orders) == (("marketing",), None, ())


def test_erasing_an_alias_erases_nothing_of_the_customer(cluster: Cluster, guest: str) -> None:
    """Shops delete the customers that they have merged: the customer stays, and a decision says where the data is."""
    before = cluster.state(ANNA)
    cluster.put(topics.CUSTOMERS, guest, None)
    cluster.run()
    assert cluster.state(ANNA) == before
    (decision,) = [each for each in cluster.decoded(topics.DECISIONS) if each["rule"] == "erased"]
    assert (decision["customer_id"], ANNA in decision["detail"]) == (guest, True)
    cluster.parcel(guest, "shipped")
    assert cluster.messages()[-1] == "shipped"


def test_the_decisions_name_the_other_customer(cluster: Cluster, guest: str) -> None:
    """Each of the two customers has a decision with the rule `merged`."""
    merged = {
        each["customer_id"]: each["detail"] for each in cluster.decoded(topics.DECISIONS) if each["rule"] == "merged"
    }
    assert merged.keys() == {ANNA, guest}
    assert ANNA in merged[guest]
    assert guest in merged[ANNA]


def test_the_other_values_of_a_merge_count(guest: str) -> None:
    """A record that merges a customer, and refuses marketing, does both."""
    cluster = Cluster(shop_ruleset())
    cluster.order(guest)
    cluster.merge(guest, ANNA, marketing_consent=False)
    anna = cluster.state(ANNA)
    assert anna is not None
    assert anna.consent.marketing is False
    assert anna.profile.email == "anna@example.org"


def test_a_merge_into_itself_is_a_dead_letter(guest: str) -> None:
    """The record is invalid, unless it refuses emails: then the refusal counts."""
    cluster = Cluster(shop_ruleset())
    with pytest.raises(ValidationFailed, match="bad_merge"):
        cluster.merge(guest, guest)
    cluster = Cluster(shop_ruleset())
    cluster.merge(guest, guest, marketing_consent=False)
    state = cluster.state(guest)
    assert state is not None
    assert (state.consent.marketing, state.merge) == (False, None)
