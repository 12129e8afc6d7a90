"""The text in ids and fingerprints: the same in every version, whatever classes and fields are called."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import astuple

from streams.core.handlers.orders import DESCRIPTION_LAYOUT, on_order
from streams.core.model import events
from streams.core.model.customer import new_customer
from streams.core.model.effects import CountSales
from streams.core.model.events import OrderEvent
from streams.core.model.orders.order_state import OrderFacts as OrderFactsNow
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.ruleset import Limits
from streams.core.values.ids import TextLayout, frozen_text
from tests.harness.driver import START
from tests.harness.events import order
from tests.harness.flow_texts import HOUR, flow_text, ruleset_of


class OrderLine(Struct, frozen=True):
    """An order's line as the version of the first fingerprints had it. Its names stay as they are."""

    sku: str
    title: str
    category: str
    quantity: int
    unit_price_minor: int
    lasts_days: int | None = None


class OrderFacts(Struct, frozen=True):
    """An order's description as the version of the first fingerprints had it. Its names stay as they are."""

    email: str
    name: str
    locale: str
    country: str
    ship_country: str
    currency: str
    total_minor: int
    placed_at: datetime
    time_zone: str | None
    lines: tuple[OrderLine, ...]
    discount_minor: int = 0


class Position(Struct, frozen=True):
    """A line whose class and fields were renamed, and to which fields were added."""

    product: str
    label: str
    group: str
    count: int
    price: int
    days: int | None = None
    color: str = ""
    gift: bool = False


class Gift(Struct, frozen=True):
    """The value of a later field."""

    text: str
    card: str = ""
    price: int | None = None


class Description(Struct, frozen=True):
    """A description whose class and fields were renamed, and to which fields were added."""

    to: str
    who: str
    language: str
    land: str
    other_land: str
    money: str
    total: int
    moment: datetime
    zone: str | None
    positions: tuple[Position, ...]
    rebate: int = 0
    channel: str = "web"
    coupons: tuple[str, ...] = ()
    gift: Gift | None = None


texts = st.text(st.characters(exclude_categories=()), max_size=12)
lines = st.builds(OrderLine, texts, texts, texts, st.integers(), st.integers(), st.none() | st.integers())
moments = st.datetimes(timezones=st.just(UTC))
descriptions = st.builds(
    OrderFacts, texts, texts, texts, texts, texts, texts, st.integers(), moments, st.none() | texts,
    st.lists(lines, max_size=3).map(tuple), st.integers(),
)  # fmt: skip


def _as(kind: Any, line_kind: Any, old: OrderFacts, **more: Any) -> Any:
    """The values of `old` in another class, by their places."""
    values = [*astuple(old)]
    values[9] = tuple([line_kind(*astuple(line)) for line in old.lines])
    return kind(*values, **more)


@given(descriptions)
def test_the_text_is_that_of_the_first_version(old: OrderFacts) -> None:
    """Today's class gives letter for letter what released versions hashed."""
    assert frozen_text(_as(OrderFactsNow, events.OrderLine, old), DESCRIPTION_LAYOUT) == repr(old)


@given(descriptions)
def test_new_names_and_new_fields_change_no_text(old: OrderFacts) -> None:
    """A class with other names, and with new fields at their defaults, has the text of the old one."""
    assert frozen_text(_as(Description, Position, old), DESCRIPTION_LAYOUT) == repr(old)


later = st.fixed_dictionaries(
    {}, optional={"channel": texts, "coupons": st.lists(texts, max_size=3).map(tuple), "gift": st.builds(Gift, texts)}
)


@given(descriptions, later, later)
def test_new_data_in_new_fields_is_noticed(old: OrderFacts, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two descriptions that differ in a new field have different texts; equal ones have equal texts."""
    first, second = _as(Description, Position, old, **one), _as(Description, Position, old, **other)
    same_text = frozen_text(first, DESCRIPTION_LAYOUT) == frozen_text(second, DESCRIPTION_LAYOUT)
    assert same_text == (first == second)


def test_a_later_field_is_written_under_its_place() -> None:
    """The text of a later field has no name in it; a struct in it is written in the same way."""
    layout = TextLayout("Old", ("sku", "title", "category", "quantity", "unit_price_minor", "lasts_days"))
    line = Position("s1", "Tea", "", 2, 100, None, "red")
    assert frozen_text(line, layout) == (
        "Old(sku='s1', title='Tea', category='', quantity=2, unit_price_minor=100, lasts_days=None, 6='red')"
    )
    gift = _as(Description, Position, OrderFacts("", "", "", "", "", "", 0, START, None, ()), gift=Gift("hi", price=3))
    assert frozen_text(gift, DESCRIPTION_LAYOUT).endswith(", lines=(), discount_minor=0, 13=(0='hi', 2=3))")


class Color(StrEnum):
    """A text whose `repr` names its class."""

    RED = "red"


@pytest.mark.parametrize(
    "value", [frozenset(("a",)), ["a"], {"a": 1}, Color.RED, object()], ids=lambda value: type(value).__name__
)
def test_a_value_without_a_frozen_text_is_refused(value: Any) -> None:
    """Sets have no order, and the names of enums and other classes may change."""
    line = Position("s1", value, "", 2, 100)
    with pytest.raises(TypeError, match="may change"):
        frozen_text(line, TextLayout("Old", ("sku", "title")))


def test_a_missing_field_is_refused() -> None:
    """A frozen field cannot be taken out of a class."""
    with pytest.raises(ValueError, match="shorter"):
        frozen_text(Gift("hi"), TextLayout("Gift", ("text", "card", "price", "color")))


class Bought(events.OrderPlaced, frozen=True):
    """A renamed event."""


class Settled(events.OrderPaid, frozen=True):
    """A renamed event."""


class Edited(events.OrderChanged, frozen=True):
    """A renamed event."""


class Stopped(events.OrderCancelled, frozen=True):
    """A renamed event."""


class Returned(events.OrderRefunded, frozen=True):
    """A renamed event."""


RENAMED: dict[type[OrderEvent], type[OrderEvent]] = {
    events.OrderPlaced: Bought,
    events.OrderPaid: Settled,
    events.OrderChanged: Edited,
    events.OrderCancelled: Stopped,
    events.OrderRefunded: Returned,
}


def _ids(first: type[OrderEvent], kind: type[OrderEvent]) -> tuple[bytes, list[str], list[str]]:
    """Marks of forgotten orders, ids of sales and ids of decisions after an order, an event with other lines, and one of a forgotten order."""
    flow = flow_text("trigger: {on: order.changed}\nsteps: [{send: {message: a, products: 2}}]", purpose="marketing")
    uow = UnitOfWork(ruleset_of(flow, limits=Limits(orders=1, short_pieces=0)), new_customer("c1"), START)
    on_order(uow, first(order("o1", START), START))
    on_order(uow, kind(order("o1", START, lines=(events.OrderLine("s9", "Pot", "pots", 1, 9),)), START + HOUR))
    on_order(uow, first(order("o2", START), START))
    on_order(uow, kind(order("o1", START), START + HOUR))
    sales = [effect.sales_id for effect in uow.effects if isinstance(effect, CountSales)]
    others = [effect.decision_id for effect in uow.effects if hasattr(effect, "decision_id")]
    return uow.forgotten_order_fingerprints, sales, others


@pytest.mark.parametrize("kind", RENAMED, ids=lambda kind: kind.ID_TAG)
def test_a_renamed_event_has_the_same_ids(kind: type[OrderEvent]) -> None:
    """Ids of sales and of decisions name the kind of event by its tag."""
    found = _ids(events.OrderPlaced, kind)
    assert found == _ids(Bought, RENAMED[kind])
    assert all(found[:2])


def test_no_two_events_have_one_tag() -> None:
    """Tags tell the kinds of events of an order apart."""
    assert len({kind.ID_TAG for kind in RENAMED}) == len(RENAMED)
