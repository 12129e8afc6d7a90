"""The page of a customer: what the pages of the gateway show, written whenever it changes.

A page contains no more than the pages need: the first name, the first characters of the address, and the town of the last order. It is
compared by a fingerprint that the state keeps, so that most events write none.
"""

from __future__ import annotations

from msgspec import msgpack
from msgspec.structs import replace

from streams.core.model.consent import Consent
from streams.core.model.customer import Customer, Profile, day_text
from streams.core.model.customer_page import CustomerPage, PageLine, PageOrder
from streams.core.model.effects import Effect, ShowCustomer
from streams.core.model.orders.order import NO_DETAILS, NO_LINE_DETAILS, OrderLine
from streams.core.model.orders.order_state import OrderFacts, OrderState, newest_sale
from streams.core.model.orders.receipt import quantity_text
from streams.core.model.traits import LIKE, WISH
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import OWN_SCOPES
from streams.core.sending.order_data import order_number
from streams.core.values import ids, local_time
from streams.core.values.moments import LONG_AGO
from streams.core.values.person_names import first_name

#: Wishes and likes that a page shows.
MOST = 20
#: In the place of the characters of an address that are not shown.
_MASK = "•••"
_SERVICE = "service"
_encode = msgpack.Encoder().encode


def show_customer(uow: UnitOfWork) -> None:
    """Publish the page of the customer, unless it is the one that was published last."""
    state, shown = uow.state, uow.gateway.page
    if shown and not _may_differ(uow, state):
        return
    page = page_of(uow)
    fingerprint = ids.fingerprint_of(_encode(page))
    if fingerprint == shown:
        return
    uow.gateway = replace(uow.gateway, page=fingerprint)
    page = replace(page, updated_at=uow.now)
    uow.effects.append(ShowCustomer(page_id=_page_id(uow, fingerprint), customer_id=uow.customer_id, page=page))


def hide_customer(uow: UnitOfWork) -> list[Effect]:
    """Return the effect that removes the page of a customer who is erased or merged; none if there is no page."""
    if not uow.state.gateway.page:
        return []
    return [ShowCustomer(page_id=_page_id(uow, b""), customer_id=uow.customer_id, page=None)]


def _page_id(uow: UnitOfWork, fingerprint: bytes) -> str:
    return ids.digest("page", uow.customer_id, fingerprint.hex(), local_time.text_of(uow.caused_at))


def _may_differ(uow: UnitOfWork, state: Customer) -> bool:
    """Return whether the event has changed something that a page shows. Most events have not: those of emails, timers and parcels."""
    if uow.profile is not state.profile or uow.consent is not state.consent or uow.gateway is not state.gateway:
        return True
    if uow.shared_until != state.shared_until:
        return True
    if uow.orders is state.orders:
        return False
    return _facts(newest_sale(state.orders)) is not _facts(newest_sale(uow.orders))


def page_of(uow: UnitOfWork) -> CustomerPage:
    """Return what pages show of the customer, without the time. Of an id that several people share they show the answers only."""
    person, order = (uow.profile, newest_sale(uow.orders)) if not uow.is_shared else (Profile(), None)
    traits = person.traits
    return CustomerPage(
        customer_id=uow.customer_id,
        first_name=first_name(person.name),
        locale=uow.profile.locale,
        country=uow.profile.country,
        masked_address=masked(person.email),
        answers=answers_of(uow.consent),
        tracking=uow.consent.tracking,
        frequency="fewer" if uow.gateway.wants_fewer else "normal",
        birthday=day_text(person.birthday) if person.birthday is not None else "",
        dates={each.name: day_text(each.value) for each in traits.dates if each.value is not None},
        wishes=traits.skus(WISH)[:MOST] if traits.collected else (),
        likes=traits.skus(LIKE)[:MOST] if traits.collected else (),
        order=_page_order(order),
        updated_at=LONG_AGO,
    )


def answers_of(consent: Consent) -> dict[str, bool]:
    """Return the purposes that the customer answered, and whether emails of them are wanted. Service emails are, until somebody opts out."""
    answers = {_SERVICE: not consent.is_opted_out(_SERVICE)}
    if not (consent.unsubscribed or consent.answers or consent.complained):  # nearly every customer
        if consent.marketing is not None:
            answers["marketing"] = consent.marketing
        return answers
    is_out = consent.complained or consent.is_unsubscribed()
    if is_out or consent.marketing is not None:
        answers["marketing"] = not is_out and consent.marketing is True
    for purpose in sorted(OWN_SCOPES):
        answer = consent.answer(purpose)
        if consent.complained or consent.is_unsubscribed(purpose):
            answers[purpose] = False
        elif answer is not None:
            answers[purpose] = answer.is_yes
    return answers


def masked(address: str) -> str:
    """Return an address of which only the first characters and the last part of the domain can be read: `a•••@e•••.org`."""
    local, at, domain = address.rpartition("@")
    if not (local and domain):
        return ""
    _, dot, last = domain.rpartition(".")
    return f"{local[0]}{_MASK}{at}{domain[0]}{_MASK}{dot}{last if dot else ''}"


def _facts(order: OrderState | None) -> OrderFacts | None:
    return order.facts if order is not None else None


def _page_order(order: OrderState | None) -> PageOrder | None:
    facts = _facts(order)
    if order is None or facts is None:
        return None
    details = facts.details or NO_DETAILS
    place = details.shipping_address or (details.pickup_point.address if details.pickup_point is not None else None)
    return PageOrder(
        order_id=order.order_id,
        number=order_number(order),
        currency=facts.currency,
        city=place.city if place is not None else "",
        lines=tuple([_page_line(line) for line in facts.lines if line.is_orderable]),
        more_lines=facts.more_items,
    )


def _page_line(line: OrderLine) -> PageLine:
    details = line.details or NO_LINE_DETAILS
    return PageLine(
        sku=line.sku,
        title=line.title,
        variant=details.variant,
        quantity=quantity_text(line),
        unit_price_minor=line.unit_price_minor,
        image_url=details.image_url,
    )
