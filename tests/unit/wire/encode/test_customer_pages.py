"""Encoding of customer pages: the gateway reads what the flows agent wrote."""

from __future__ import annotations

from msgspec.structs import asdict, fields, replace

from streams.core.model.customer_page import CustomerPage, PageLine, PageOrder
from streams.core.model.effects import ShowCustomer
from streams.runtime.avro.schemas import load_schemas
from streams.wire import topics
from streams.wire.codec import SCHEMAS
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.effects import CODEC, NOW, headers
from tests.harness.records import AT

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
LINE = PageLine(sku="s1", title="Tea", variant="green", quantity="0.5", unit_price_minor=4900, image_url="")
ORDER = PageOrder(order_id="o1", number="1001", currency="DKK", city="Aarhus", lines=(LINE,))
PAGE = CustomerPage(
    customer_id="c1",
    first_name="Anna",
    locale="da",
    country="DK",
    masked_address="a•••@e•••.org",
    answers={"marketing": True, "service": True},
    tracking=False,
    frequency="fewer",
    birthday="--05-01",
    dates={"wedding": "2019-06-01"},
    wishes=("s2", "s1"),
    likes=("s3",),
    order=ORDER,
    updated_at=AT,
)


def test_a_page_arrives_unchanged() -> None:
    """Every field of a page is read as it was written, with and without an order."""
    for page in (PAGE, CustomerPage(customer_id="c1", updated_at=AT)):
        record = ENCODER.effects.encode(ShowCustomer(page_id="p1", customer_id="c1", page=page), NOW)
        assert (record.topic, record.key) == (topics.CUSTOMER_PAGES, b"c1")
        assert headers(record)["ce_type"] == b"takk.CustomerPage"
        assert DECODER.customer_page(record.value) == page


def test_a_page_is_encoded_as_fastavro_does() -> None:
    """Also a text that is longer than any of a page, which the compiled writer leaves to fastavro."""
    for order in (None, ORDER, replace(ORDER, lines=()), replace(ORDER, city="ø" * 9_000, lines=(LINE, LINE))):
        page = replace(PAGE, order=order, wishes=() if order is None else PAGE.wishes)
        plain = asdict(page)
        if page.order is not None:
            plain["order"] = {**asdict(page.order), "lines": [asdict(line) for line in page.order.lines]}
        value = ENCODER.effects.encode(ShowCustomer(page_id="p1", customer_id="c1", page=page), NOW).value
        assert value == CODEC.encode("customer_page", plain)


def test_no_page_is_a_tombstone() -> None:
    """A customer who is shown no longer has a record without a value."""
    record = ENCODER.effects.encode(ShowCustomer(page_id="p1", customer_id="c1", page=None), NOW)
    assert (record.topic, record.key, record.value) == (topics.CUSTOMER_PAGES, b"c1", None)


def test_the_structs_have_the_fields_of_the_schema() -> None:
    """A field that only one of the two has would be lost on the way."""
    schema = load_schemas(SCHEMAS)["customer_page"]
    assert [field["name"] for field in schema["fields"]] == [field.name for field in fields(CustomerPage)]
    order = next(field for field in schema["fields"] if field["name"] == "order")["type"][1]
    assert [field["name"] for field in order["fields"]] == [field.name for field in fields(PageOrder)]
    lines = next(field for field in order["fields"] if field["name"] == "lines")["type"]["items"]
    assert [field["name"] for field in lines["fields"]] == [field.name for field in fields(PageLine)]
