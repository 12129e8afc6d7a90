"""The global table of suppressed addresses, and when it removes them."""

from __future__ import annotations

from datetime import timedelta

from streams.agents.global_tables.suppressed_addresses import KEPT_AFTER_CAP, SuppressedAddresses
from streams.core.model.address_state import NOTHING_SUPPRESSED, Suppression
from streams.observability import metrics
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.codec import CODEC
from tests.harness.records import AT

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
REFUSED = Suppression((("marketing", "unsubscribed"), ("review", "unsubscribed")))
CAPPED = Suppression((), (("review", AT),))


def put(view: SuppressedAddresses, number: int, suppression: Suppression) -> None:
    """Apply the record of an address as the suppressions agent publishes it."""
    topic, key, value, _ = ENCODER.addresses.suppression(f"{number:032x}", suppression, AT)
    view.put(topic, key, value)


def address(number: int) -> bytes:
    """Return the hash of an address."""
    return number.to_bytes(16, "big")


def test_the_newest_record_of_an_address_holds() -> None:
    """It replaces the one before; one without limits, and a tombstone, remove the address."""
    view = SuppressedAddresses(DECODER, {}, lambda: AT)
    put(view, 1, CAPPED)
    put(view, 1, REFUSED)
    put(view, 2, REFUSED)
    assert view.by_address == {address(1): REFUSED, address(2): REFUSED}
    assert view.by_address[address(1)] is view.by_address[address(2)]
    put(view, 1, NOTHING_SUPPRESSED)
    view.put(topics.SUPPRESSIONS, f"{2:032x}".encode(), None)
    assert view.by_address == {}


def test_caps_that_ended_are_removed() -> None:
    """Addresses that were once capped take no memory permanently; refusals stay."""
    now = AT
    view = SuppressedAddresses(DECODER, {}, lambda: now)
    put(view, 1, CAPPED)
    put(view, 2, Suppression((), (), AT))
    put(view, 3, Suppression(REFUSED.suppressed, CAPPED.capped))
    now = AT + KEPT_AFTER_CAP + timedelta(seconds=1)
    put(view, 4, CAPPED)
    assert view.by_address.keys() == {address(3)}


def test_an_invalid_record_has_no_effect() -> None:
    """Damaged bytes, and a tombstone without an address, change nothing, and the next record is applied."""
    view = SuppressedAddresses(DECODER, {}, lambda: AT)
    for key, value in ((b"?", b"?"), (None, None), (b"anna@example.com", None), (b"\xff", None)):
        view.put(topics.SUPPRESSIONS, key, value)
    put(view, 1, REFUSED)
    assert view.by_address.keys() == {address(1)}


def test_reaching_the_end_is_a_metric() -> None:
    """The gauges change when the table has reached the end of its topic: one is the time, one the refusing addresses."""
    metrics.SUPPRESSIONS_READ.set(0)
    view = SuppressedAddresses(DECODER, {}, lambda: AT)
    put(view, 1, REFUSED)
    put(view, 2, CAPPED)
    assert metrics.REGISTRY.get_sample_value("takk_suppressions_read_timestamp_seconds") == 0
    view.on_caught_up()
    assert (metrics.REGISTRY.get_sample_value("takk_suppressions_read_timestamp_seconds") or 0) > AT.timestamp()
    assert metrics.REGISTRY.get_sample_value("takk_suppressed_addresses") == 1
