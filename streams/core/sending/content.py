"""The data that an email's templates get, built from its content.

It is built where an email is encoded or rendered. A simulation, which only counts emails, never builds it.
"""

from __future__ import annotations

from typing import Any

from streams.core.conditions.names import EVENT_DATA
from streams.core.model.customer import day_text
from streams.core.model.effects import Content
from streams.core.model.traits import NO_TRAITS, Traits
from streams.core.offers.recommendations import REQUEST_KEY, request_for
from streams.core.sending.greeting import mood
from streams.core.sending.order_data import complete_order, order_data
from streams.core.sending.parcel_data import complete_parcel, parcel_data
from streams.core.values.person_names import first_name


def template_data(content: Content) -> dict[str, Any]:
    """Return the content in JSON types: money is {"minor": int, "currency": str}, times are ISO 8601 in UTC."""
    given_name, order, parcel = first_name(content.name), content.order, content.parcel
    facts = order.facts if order is not None else None
    local = content.greeted_at.astimezone(content.zone)
    data: dict[str, Any] = {
        "customer": {
            "name": content.name,
            "first_name": given_name,
            "purchases": content.purchases,
            "id": content.customer_id,
            "orders": content.placed,
            "spend": {"minor": content.spend_minor, "currency": content.currency},
            "fields": dict(content.fields),
            "country": content.country,
            "locale": content.locale,
            **_traits(content.traits),
            **_categories(content.favourites),
        },
        "shop": _shop(content.shop_country, content.currency, content.shop_locale),
        "mood": mood(local),
        "local_time": local.replace(tzinfo=None).isoformat(timespec="minutes"),
        # Mailers of earlier versions ignore the mood and print this as the greeting.
        "greeting": given_name,
    }
    if order is not None and facts is not None:
        data["order"] = order_data(order, facts, content.zone)
    if content.rounds[0]:
        data["repeat"] = {"round": content.rounds[0], "rounds": content.rounds[1]}
    if parcel is not None:
        data["shipment"] = parcel_data(parcel, order, content.customer_id)
    if content.products or content.recommends.categories:
        favourites = [category for category, _ in content.favourites]
        data[REQUEST_KEY] = request_for(
            content.orders, content.products, content.at_least, content.recommends, favourites, content.viewed
        )
    if content.product is not None:
        data["product"] = content.product
    if content.together is not None:
        data["products"] = list(content.together)
    if content.chosen is not None:
        data["products"] = list(content.chosen)
    if content.chosen_categories is not None:
        data["categories"] = list(content.chosen_categories)
    if content.request_id:
        data["request"] = {"request_id": content.request_id, "kind": content.request_id.partition("-")[0]}
    if content.reward:
        data["reward"] = {
            "code": content.reward,
            "name": content.reward_name,
            "ends_at": content.reward_ends_at or None,
        }
    if content.event:
        data["event"] = _event(dict(content.event))
    return data


def complete(data: dict[str, Any]) -> None:
    """Add to the data of a command what earlier versions did not write, so that the present templates can use it.

    Args:
        data: the context of a command, changed in place. It may be anything in JSON.
    """
    order, shipment, customer = data.get("order"), data.get("shipment"), data.get("customer")
    if isinstance(customer, dict):
        added = {
            "id": "",
            "orders": customer.get("purchases", 0),
            "spend": None,
            "fields": {},
            **_traits(NO_TRAITS),
            **_categories(()),
        }
        customer.update({name: value for name, value in added.items() if name not in customer})
    shop = data.get("shop")
    data["shop"] = {**_shop("", "", ""), **(shop if isinstance(shop, dict) else {})}
    if isinstance(reward := data.get("reward"), dict):
        data["reward"] = {"name": "", "ends_at": None, **reward}
    if isinstance(order, dict):
        complete_order(order)
    if isinstance(shipment, dict):
        complete_parcel(shipment)


def _shop(country: str, currency: str, locale: str) -> dict[str, str]:
    return {"country": country, "currency": currency, "locale": locale}


def _traits(traits: Traits) -> dict[str, Any]:
    return {
        "postal_code": traits.postal_code,
        "city": traits.city,
        "is_company": traits.is_company is True,
        "dates": {each.name: day_text(each.value) for each in traits.dates if each.value is not None},
        "attributes": {each.name: each.value for each in traits.attributes if each.value is not None},
    }


def _event(data: dict[str, str]) -> dict[str, Any]:
    """Return the data of an event: numbers as numbers, everything else as texts, and every name."""
    found: dict[str, Any] = {name: data.get(name, "") for name in EVENT_DATA}
    thousandths = int(data.get("number") or 0)
    found["number"] = thousandths // 1000 if thousandths % 1000 == 0 else thousandths / 1000
    found["stars"] = int(data.get("stars") or 0)
    return found


def _categories(favourites: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    return {
        "top_category": favourites[0][0] if favourites else "",
        "categories": [{"category": category, "orders": orders} for category, orders in favourites],
    }
