"""The pages of a customer: what they show, and that they are written only when they change."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from streams.core.handlers.customer_pages import MOST, answers_of, masked
from streams.core.model.consent import Answer, Consent, Resubscription
from streams.core.model.customer_page import CustomerPage
from streams.core.model.effects import ShowCustomer
from streams.core.model.events import (
    CustomerMerged,
    MailReported,
    OrderCancelled,
    OrderLine,
    OrderPlaced,
    ProductBrowsed,
)
from streams.core.model.orders.order import Address, LineDetails, OrderDetails
from streams.core.model.person_events import CustomerActed, CustomerErased
from streams.core.rules.ruleset import Limits
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import buy, ruleset_of, update_profile

DAY = timedelta(days=1)


def run_with_pages() -> Driver:
    """Return a driver of a shop without flows that shows pages."""
    return Driver(ruleset_of(shows_pages=True))


def shown(run: Driver) -> list[CustomerPage | None]:
    """Return the pages so far."""
    return [effect.page for effect in run.effects if isinstance(effect, ShowCustomer)]


def last(run: Driver) -> CustomerPage:
    """Return the newest page."""
    page = shown(run)[-1]
    assert page is not None
    return page


def test_a_page_shows_the_person_and_the_last_order() -> None:
    """First name, masked address, language and country; of the order the number, the town, and the goods without prices of shipping."""
    run = run_with_pages()
    details = OrderDetails(
        order_number="1001", shipping_address=Address(name="Anna Holm", line1="Gade 1", city="Aarhus")
    )
    lines = (
        OrderLine("s1", "Tea", "tea", 1, 4_900, details=LineDetails(variant="green", quantity_thousandths=500)),
        OrderLine("", "Wrapping", "", 1, 500),
        OrderLine("fee", "Fee", "", 1, 500, details=LineDetails(kind="fee")),
    )
    buy(run, details=details, lines=lines)
    page = last(run)
    assert (page.first_name, page.masked_address, page.locale, page.country) == ("Anna", "a•••@e•••.com", "da", "DK")
    assert page.order is not None
    assert (page.order.order_id, page.order.number, page.order.city) == ("o1", "1001", "Aarhus")
    assert [(line.sku, line.variant, line.quantity, line.unit_price_minor) for line in page.order.lines] == [
        ("s1", "green", "0.5", 4_900)
    ]
    assert "Gade" not in repr(page)
    assert "Holm" not in repr(page)


def test_a_page_shows_all_lines_that_are_stored() -> None:
    """Ordering again means the whole order, as far as Takk has it. The page counts the other items, not fees among them."""
    run = run_with_pages()
    most = Limits().lines_per_order
    lines = [OrderLine(f"s{number}", "Tea", "tea", 1, 100) for number in range(most + 6)]
    buy(run, lines=(*lines, OrderLine("", "Gift wrapping", "", 1, 100)))
    page = last(run)
    assert page.order is not None
    assert [line.sku for line in page.order.lines] == [f"s{number}" for number in range(most)]
    assert page.order.more_lines == 6


def test_a_page_is_written_once_and_when_it_changes() -> None:
    """Repeated records, parcels, reports and visits write nothing; the next order, a cancellation and a preference do."""
    run = run_with_pages()
    buy(run)
    buy(run)
    run.handle(shipment("o1", "p1", "shipped", START))
    run.handle(shipment("o1", "p1", "delivered", START + DAY))
    run.handle(MailReported(customer_id="c1", send_id="s-1", outcome="sent", occurred_at=START))
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=START + DAY))
    assert len(shown(run)) == 1
    second = order("o2", START + DAY)
    run.handle(OrderPlaced(second, START + DAY))
    assert last(run).order is not None
    assert last(run).order.order_id == "o2"  # type: ignore[union-attr]  # asserted above
    run.handle(OrderCancelled(second, START + 2 * DAY))
    assert last(run).order.order_id == "o1"  # type: ignore[union-attr]  # the only order that is left
    update_profile(run, marketing_consent=True, occurred_at=START + 2 * DAY)
    assert len(shown(run)) == 4
    assert len({effect.page_id for effect in run.effects if isinstance(effect, ShowCustomer)}) == 4


def test_preferences_are_shown() -> None:
    """Answers, tracking, birthday, dates, wishes and likes are those of the newest statement."""
    run = run_with_pages()
    update_profile(run, birthday=date(1604, 5, 1), dates=(("wedding", date(2019, 6, 1)),), tracking_consent=False)
    for number in range(MOST + 5):
        run.handle(
            CustomerActed(
                customer_id="c1", kind="wished", sku=f"s{number}", occurred_at=START + number * timedelta(hours=1)
            )
        )
    run.handle(CustomerActed(customer_id="c1", kind="liked", sku="s1", occurred_at=START))
    page = last(run)
    assert (page.birthday, page.dates, page.tracking) == ("--05-01", {"wedding": "2019-06-01"}, False)
    assert (len(page.wishes), page.wishes[0], page.likes) == (MOST, f"s{MOST + 4}", ("s1",))


def test_removed_dates_are_not_shown() -> None:
    """A birthday and a date that the customer removed disappear from the page."""
    run = run_with_pages()
    update_profile(run, birthday=date(1984, 5, 1), dates=(("wedding", date(2019, 6, 1)),))
    assert (last(run).birthday, last(run).dates) == ("1984-05-01", {"wedding": "2019-06-01"})
    later = run.now + timedelta(hours=1)
    update_profile(run, removes_birthday=True, dates=(("wedding", None),), occurred_at=later)
    assert (last(run).birthday, last(run).dates) == ("", {})


def test_a_test_order_is_not_shown() -> None:
    """The order of a test belongs to nobody."""
    run = run_with_pages()
    buy(run, details=OrderDetails(is_test=True))
    assert [page.order for page in shown(run) if page is not None] in ([], [None])


def test_of_a_shared_id_only_the_answers_are_shown() -> None:
    """If several people share the id, the page of one would show the order of another."""
    run = run_with_pages()
    for number in range(8):
        buy(run, f"o{number}", email=f"person-{number}@example.com")
    page = last(run)
    assert (page.first_name, page.masked_address, page.order) == ("", "", None)
    assert page.answers == {"service": True}


def test_an_erased_customer_is_hidden() -> None:
    """The page is deleted once; an erasure of a customer who has none writes nothing."""
    run = run_with_pages()
    run.handle(CustomerErased(customer_id="c1", occurred_at=START))
    assert shown(run) == []
    buy(run)
    for day in range(2):
        run.handle(CustomerErased(customer_id="c1", occurred_at=START + day * DAY))
    assert shown(run)[1:] == [None]


def test_a_merged_customer_is_hidden() -> None:
    """An alias has no page, and the page of the customer shows what both ids have."""
    run = run_with_pages()
    buy(run)
    run.handle(CustomerMerged(customer_id="c1", into="c2", occurred_at=START))
    run.advance_to(START + DAY)
    pages = [(effect.customer_id, effect.page) for effect in run.effects if isinstance(effect, ShowCustomer)]
    assert ("c1", None) in pages
    newest = dict(pages)["c2"]
    assert newest is not None
    assert newest.order is not None


def test_without_the_setting_nothing_is_written() -> None:
    """A shop without a gateway has no records on `customer-pages`."""
    run = Driver(ruleset_of())
    buy(run)
    assert shown(run) == []


@pytest.mark.parametrize(
    ("consent", "expected"),
    [
        (Consent(), {"service": True}),
        (Consent(marketing=True), {"service": True, "marketing": True}),
        (Consent(marketing=False), {"service": True, "marketing": False}),
        (
            Consent(unsubscribed=("marketing",), marketing=True),
            {"service": True, "marketing": False, "profile": False, "review": False, "survey": False},
        ),
        (
            Consent(unsubscribed=("review", "service"), marketing=True),
            {"service": False, "marketing": True, "review": False},
        ),
        (
            Consent(
                unsubscribed=("service",),
                unsubscribed_at=(("service", START),),
                resubscriptions=(Resubscription("service", START + DAY),),
            ),
            {"service": True},
        ),
        (Consent(answers=(Answer("survey", True, START),)), {"service": True, "survey": True}),
        (
            Consent(complained=True, answers=(Answer("survey", True, START),)),
            {"service": True, "marketing": False, "profile": False, "review": False, "survey": False},
        ),
    ],
)
def test_answers_are_what_the_customer_receives(consent: Consent, expected: dict[str, bool]) -> None:
    """An unsubscription and a complaint count more than a yes; a purpose that was never asked is missing."""
    assert answers_of(consent) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("anna.holm@example.co.uk", "a•••@e•••.uk"),
        ("a@b.dk", "a•••@b•••.dk"),
        ("a@localhost", "a•••@l•••"),
        ("", ""),
        ("nobody", ""),
        ("ø@ærø.dk", "ø•••@æ•••.dk"),
    ],
)
def test_an_address_is_masked(address: str, expected: str) -> None:
    """Only the first characters and the end of the domain can be read."""
    assert masked(address) == expected
