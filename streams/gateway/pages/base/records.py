"""The records that pages publish. Their ids depend on the link and the action only, so that doing something twice has no effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streams.gateway import requests
from streams.gateway.pages.base.visit import Visit
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics


def event_id(visit: Visit, action: str, value: str = "") -> str:
    """Return the id of what a customer does on the page of a link."""
    link = visit.link
    return requests.event_id(visit.use, link.send_id or link.customer_id, link.target, action, value)


def engagement(visit: Visit, kind: str, id: str, fields: Mapping[str, Any] | None = None) -> ProducerRecord:
    """Return the record of a customer's reaction.

    Args:
        visit: the visit.
        kind: the kind, as in the schema.
        id: the event's id.
        fields: the further fields.
    """
    return requests.engagement(visit.gateway, visit.link, kind, visit.now, id, **(fields or {}))


def request(
    visit: Visit, kind: str, id: str, stage: str = "asked", fields: Mapping[str, Any] | None = None
) -> ProducerRecord:
    """Return the record of a request that the flows agent carries out. The id starts with the kind, so that a link to it reveals it."""
    link = visit.link
    record = {
        "request_id": id,
        "customer_id": link.customer_id,
        "kind": kind,
        "stage": stage,
        "occurred_at": visit.now,
        **(fields or {}),
    }
    return visit.gateway.encoder.record(topics.REQUESTS, link.customer_id, f"{id}-{stage}", record)


def request_id(visit: Visit, kind: str, value: str) -> str:
    """Return the id of a request: its kind, a dash and a hash."""
    return f"{kind}-{event_id(visit, kind, value)}"


def evidence(visit: Visit, source: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the evidence of answers: the notice, the page, and the texts that the customer agreed to."""
    wording = " / ".join(visit.text(key) for key in keys)
    return {"notice": visit.site.brand.notice, "source": source, "wording": wording[:300]}


async def publish(visit: Visit, *records: ProducerRecord) -> None:
    """Publish records; they are safe when this returns.

    Raises:
        Unavailable: they are not.
    """
    await visit.gateway.publisher.publish(records)
