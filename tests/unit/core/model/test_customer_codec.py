"""The stored form of customers: bytes of version 1 stay readable."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streams.core.model.customer import Customer, new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.events import MailClicked, OrderPlaced
from streams.core.model.person_events import ProfileUpdated
from streams.core.model.versioned_codec import UnknownVersion
from streams.settings import PROJECT_ROOT
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_ruleset

FIXTURE = PROJECT_ROOT / "tests/golden/state/customer_v1.bin"


def customer() -> Customer:
    """Return a customer like that in the fixture."""
    run = Driver(shop_ruleset())
    run.handle(
        OrderPlaced(order("o1", START), START), shipment("o1", "shipped", START), shipment("o1", "delivered", START)
    )
    send = run.mails()[0].send_id
    run.handle(
        MailClicked(customer_id="c1", send_id=send, link="x", agent="human", occurred_at=START),
        ProfileUpdated(customer_id="c1", marketing_consent=True, time_zone="Europe/Oslo", occurred_at=START),
    )
    return run.customers["c1"]


def test_version_1_is_read() -> None:
    """Bytes of the first release decode to the customer that they were encoded from."""
    stored = decode_customer(FIXTURE.read_bytes())
    assert stored.profile.time_zone == "Europe/Oslo"
    assert [parcel.status for parcel in stored.orders[0].parcels] == ["delivered"]
    assert len(stored.sends) == 2
    assert len(stored.instances) == 2
    assert stored.sends[0].clicked_at == START


def test_round_trip_and_size() -> None:
    """A customer decodes to the same value, and one with 600 orders stays under 32 kB."""
    assert decode_customer(encode_customer(customer())) == customer()
    run = Driver(shop_ruleset())
    for number in range(600):
        run.handle(
            OrderPlaced(order(f"order-{number}", run.now), run.now), shipment(f"order-{number}", "delivered", run.now)
        )
        run.advance(timedelta(hours=3))
    assert run.customers["c1"].purchases == 600
    assert len(encode_customer(run.customers["c1"])) < 32_000


@pytest.mark.parametrize("data", [b"", b"\x00abc", b"\x63\x90"])
def test_unknown_versions(data: bytes) -> None:
    """Bytes of an unknown version raise UnknownVersion."""
    with pytest.raises(UnknownVersion):
        decode_customer(data)


def test_size_of_a_new_customer() -> None:
    """A customer without events takes less than 100 bytes."""
    assert len(encode_customer(new_customer("c1"))) < 100
