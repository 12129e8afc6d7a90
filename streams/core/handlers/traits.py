"""Updates of what the shop says of a customer besides the profile, and of wishes and likes."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.model.person_events import CustomerActed, ProfileUpdated
from streams.core.model.removed_dates import merge_dates
from streams.core.model.traits import (
    LIKE,
    WISH,
    Attribute,
    Collected,
    ExternalId,
    ImportantDate,
    Traits,
    merge_collected,
    merge_named,
)
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.ruleset import Limits

#: The kind of product of each activity, and whether the customer keeps the product from then on.
_COLLECTS = {"wished": (WISH, True), "unwished": (WISH, False), "liked": (LIKE, True), "unliked": (LIKE, False)}


def merge_place(newer: Traits, older: Traits, stored: Traits) -> Traits:
    """Return the stored traits with the place and the kind of customer of `newer`, or else of `older`.

    A postal code and a city belong together: those of two records may be of two places.
    """
    place = newer if newer.postal_code or newer.city else older
    is_company = older.is_company if newer.is_company is None else newer.is_company
    before = (stored.postal_code, stored.city, stored.is_company)
    if (place.postal_code, place.city, is_company) == before:
        return stored
    return replace(stored, postal_code=place.postal_code, city=place.city, is_company=is_company)


def merge_traits(one: Traits, other: Traits, limits: Limits) -> Traits:
    """Return `one` with the values of `other` that have names or are products, the newest of each: what two customer ids have together."""
    collected = one.collected
    for change in other.collected:
        collected = merge_collected(collected, change, limits.collected)
    return replace(
        one,
        attributes=merge_named(one.attributes, other.attributes, limits.attributes)[0],
        dates=merge_dates(one.dates, other.dates, limits.dates)[0],
        external_ids=merge_named(one.external_ids, other.external_ids, limits.external_ids)[0],
        collected=collected,
    )


def update_traits(uow: UnitOfWork, event: ProfileUpdated) -> None:
    """Store the attributes, dates and external ids that a profile states. Log those that were cut, or left out, once for each kind of flaw."""
    if uow.is_shared:
        return
    flaws, at, limits, traits = [event.flaws], event.occurred_at, uow.ruleset.limits, uow.profile.traits
    if event.attributes or event.dates or event.external_ids:
        attributes, lost = merge_named(
            traits.attributes, [Attribute(name, value, at) for name, value in event.attributes], limits.attributes
        )
        dates, lost_dates = merge_dates(
            traits.dates, [ImportantDate(name, day, at) for name, day in event.dates], limits.dates
        )
        external_ids, lost_ids = merge_named(
            traits.external_ids,
            [ExternalId(name, value, at) for name, value in event.external_ids],
            limits.external_ids,
        )
        merged = replace(traits, attributes=attributes, dates=dates, external_ids=external_ids)
        if merged != traits:
            uow.profile = replace(uow.profile, traits=merged)
        if lost + lost_dates + lost_ids:
            flaws.append(f"{lost + lost_dates + lost_ids} more than are kept")
    detail = ", ".join([flaw for flaw in flaws if flaw])
    if detail and uow.is_new("bad_attribute", detail):
        uow.decisions_of("", 0, "", "").note("bad_attribute", f"of the newest profile: {detail}", repeat=detail)


def collect(uow: UnitOfWork, event: CustomerActed) -> None:
    """Store a wish or a like, or that it was taken back. Nothing is stored under an id that several people share."""
    if event.kind not in _COLLECTS or not event.sku or uow.is_shared:
        return
    kind, is_kept = _COLLECTS[event.kind]
    traits = uow.profile.traits
    change = Collected(kind, event.sku, event.occurred_at, is_kept, event.unit_price_minor, event.currency)
    collected = merge_collected(traits.collected, change, uow.ruleset.limits.collected)
    if collected != traits.collected:
        uow.profile = replace(uow.profile, traits=replace(traits, collected=collected))
        uow.changed = True
