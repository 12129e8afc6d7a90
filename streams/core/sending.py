"""Deciding one mail: whether it goes, and what it is made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streams.core import consent, ids, local_time
from streams.core.customer import OrderFacts, OrderState, Parcel, Sent
from streams.core.effects import SendMail
from streams.core.flow import Flow, Send
from streams.core.greeting import first_name, greeting
from streams.core.turn import Turn

# Where an open may be measured only with consent (France: CNIL).
_TRACKING_NEEDS_CONSENT = frozenset(("FR",))


def decide_send(
    turn: Turn, flow: Flow, step: Send, instance_id: str, order: OrderState, parcel: Parcel | None, moment: datetime
) -> None:
    """Order the mail of `step`, or log the rule that forbids it. The greeting speaks of `moment` (UTC)."""
    send_id = ids.send_id(instance_id, step.path)
    order_id, facts, profile = order.order_id, order.facts, turn.profile
    ruled = consent.ruling(turn, step.purpose, order)
    if not ruled.is_allowed:
        turn.decide(
            flow,
            instance_id,
            step.path,
            "skip",
            ruled.rule,
            f"no {step.purpose} mail: {ruled.rule}; {ruled.basis}",
            order_id=order_id,
            send_id=send_id,
        )
        return
    # A receipt goes to where the order was placed from; everything else to where the customer is now.
    if consent.is_transactional(step.purpose) and facts is not None:
        address, name = facts.email or profile.email, facts.name or profile.name
    else:
        address = profile.email or (facts.email if facts else "")
        name = profile.name or (facts.name if facts else "")
    if not address:
        turn.decide(
            flow,
            instance_id,
            step.path,
            "skip",
            "no_address",
            "no address is known",
            order_id=order_id,
            send_id=send_id,
        )
        return
    if flow.status == "draft":
        turn.decide(
            flow,
            instance_id,
            step.path,
            "draft",
            "draft",
            f"would have sent {step.message}",
            order_id=order_id,
            send_id=send_id,
        )
        return
    shop, now = turn.world.shop, turn.now
    locale = (facts.locale if facts else "") or profile.locale or shop.locale
    country = consent.country_of(turn, order)
    where = turn.zone_of(order)
    first = first_name(name)
    allowed = turn.consent.tracking
    turn.effects.append(
        SendMail(
            send_id=send_id,
            customer_id=turn.customer_id,
            instance_id=instance_id,
            flow=flow.name,
            flow_version=flow.version,
            step=step.path,
            message=step.message,
            purpose=step.purpose,
            priority=step.priority,
            not_after=now + local_time.lasting(step.expires, turn.world.day_scale),
            to_address=address,
            to_name=name,
            locale=locale,
            time_zone=where.key,
            country=country,
            order_id=order_id,
            context=_context(
                turn,
                facts,
                order_id,
                parcel,
                order,
                name,
                first,
                locale,
                country,
                greeting(first, locale, moment.astimezone(where)),
            ),
            tracking=bool(allowed) if country in _TRACKING_NEEDS_CONSENT else allowed is not False,
        )
    )
    words = f"sends {step.message}; {ruled.basis}"
    turn.decide(flow, instance_id, step.path, "send", ruled.rule, words, order_id=order_id, send_id=send_id)
    sent = Sent(send_id, flow.name, flow.version, step.path, step.message, step.purpose, order_id, now)
    turn.sends = (*turn.sends, sent)[-turn.world.limits.sends :]
    turn.changed = True


def _context(
    turn: Turn,
    facts: OrderFacts | None,
    order_id: str,
    parcel: Parcel | None,
    order: OrderState,
    name: str,
    first: str,
    locale: str,
    country: str,
    hello: str,
) -> dict[str, Any]:
    context: dict[str, Any] = {
        "customer": {
            "name": name,
            "first_name": first,
            "purchases": turn.purchases,
            "country": country,
            "locale": locale,
        },
        "greeting": hello,
    }
    if facts is not None:
        currency = facts.currency
        context["order"] = {
            "order_id": order_id,
            "placed_at": iso(facts.placed_at),
            "total": {"minor": facts.total_minor, "currency": currency},
            "lines": [
                {
                    "sku": line.sku,
                    "title": line.title,
                    "category": line.category,
                    "quantity": line.quantity,
                    "unit_price": {"minor": line.unit_price_minor, "currency": currency},
                }
                for line in facts.lines
            ],
            "ship_country": facts.ship_country,
        }
    if parcel is not None:
        context["shipment"] = {
            "customer_id": turn.customer_id,
            "order_id": order_id,
            "parcel_id": parcel.parcel_id,
            "parcels_in_order": order.parcels_in_order,
            "carrier": parcel.carrier,
            "tracking_number": parcel.tracking_number,
            "tracking_url": parcel.tracking_url,
            "status": parcel.status,
            "window_from": iso(parcel.window_from) if parcel.window_from else None,
            "window_to": iso(parcel.window_to) if parcel.window_to else None,
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in parcel.lines],
            "occurred_at": iso(parcel.at),
        }
    return context


def iso(moment: datetime) -> str:
    """A moment as templates get it: ISO 8601 in UTC."""
    return local_time.text_of(moment.astimezone(UTC))
