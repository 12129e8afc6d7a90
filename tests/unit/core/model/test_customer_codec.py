"""The state as bytes: what version 1 wrote must be read for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streams.core.model.customer import Customer, new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.events import MailClicked, OrderPlaced, ProfileUpdated
from streams.core.model.versioned_codec import UnknownVersion
from streams.settings import PROJECT_ROOT
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_world

FIXTURE = PROJECT_ROOT / "tests/golden/state/customer_v1.bin"


def customer() -> Customer:
    """The customer whose bytes the fixture holds."""
    run = Driver(shop_world())
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
    """The bytes that the first release wrote give the customer that they were written from."""
    read = decode_customer(FIXTURE.read_bytes())
    assert read.profile.time_zone == "Europe/Oslo"
    assert [one.status for one in read.orders[0].parcels] == ["delivered"]
    assert len(read.sends) == 2
    assert len(read.instances) == 2
    assert read.sends[0].clicked_at == START


def test_round_trip_and_size() -> None:
    """Nothing is lost, and a customer with ten thousand orders stays small."""
    assert decode_customer(encode_customer(customer())) == customer()
    run = Driver(shop_world())
    for number in range(600):
        run.handle(
            OrderPlaced(order(f"order-{number}", run.now), run.now), shipment(f"order-{number}", "delivered", run.now)
        )
        run.advance(timedelta(hours=3))
    assert run.customers["c1"].purchases == 600
    assert len(encode_customer(run.customers["c1"])) < 16_000


@pytest.mark.parametrize("data", [b"", b"\x00abc", b"\x63\x90"])
def test_unknown_versions(data: bytes) -> None:
    """Bytes of a version that nobody knows are refused with words."""
    with pytest.raises(UnknownVersion):
        decode_customer(data)


def test_a_new_customer_is_tiny() -> None:
    """Someone of whom only the id is known costs less than a hundred bytes."""
    assert len(encode_customer(new_customer("c1"))) < 100
