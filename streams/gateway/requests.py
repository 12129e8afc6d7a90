"""The common parts of the request handlers: the link of a request, ids of events, and engagement records."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from functools import lru_cache
from typing import Any

from aiohttp import web

from streams.core.values.ids import digest_of
from streams.core.values.tokens import BadToken, Keyring
from streams.gateway.context import GATEWAY, Gateway
from streams.mail.tokens import BadLink, Link, Use
from streams.observability import metrics
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics

#: The uses of links that emails of earlier versions have with signed tokens, and the signed parts after send id and customer id.
_SIGNED: dict[str, str] = {"u": "unsubscribe", "o": "open", "r": "review"}

#: Ids of events that are remembered, so that a repeated request publishes nothing.
MAX_RECENT = 20_000


class RecentEvents:
    """The ids of the newest events that are safe. One link that is requested a thousand times a second makes one record a minute."""

    def __init__(self, limit: int = MAX_RECENT) -> None:
        self._limit = limit
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_repeat(self, id: str) -> bool:
        """Return whether the event is safe already, and count the repeat."""
        is_repeat = id in self._ids
        if is_repeat:
            metrics.GATEWAY_REPEATS.inc()
        return is_repeat

    def add(self, id: str) -> None:
        """Remember an id."""
        self._ids[id] = None
        if len(self._ids) > self._limit:
            self._ids.popitem(last=False)


#: The newest events of an application.
RECENT: web.AppKey[RecentEvents] = web.AppKey("recent_events", RecentEvents)


def link_of(request: web.Request, use: Use) -> Link:
    """Return what the token in the path says. Errors as `open_token`."""
    gateway = request.app[GATEWAY]
    return open_token(gateway, use, request.match_info["token"], gateway.now())


def open_token(gateway: Gateway, use: Use, token: str, now: datetime) -> Link:
    """Return the content of a token. Tokens that are not valid are counted.

    Raises:
        BadLink: the token is not valid for this use.
    """
    try:
        return gateway.keys.open(use, token, now)
    except BadLink as error:
        if use in _SIGNED and (link := _signed_link(gateway, use, token)):
            return link
        metrics.GATEWAY_BAD_LINKS.labels(error.reason).inc()
        raise


@lru_cache(maxsize=8)
def _keyring(*secrets: bytes) -> Keyring:
    return Keyring(*secrets)


def _signed_link(gateway: Gateway, use: str, token: str) -> Link | None:
    """Return the content of a token that an earlier version signed, with or without the id of its key; None if it is not one."""
    try:
        send_id, customer_id, *rest = _keyring(*gateway.settings.link_secrets()).verify(_SIGNED[use], token)
    except (BadToken, ValueError):
        return None
    return Link(gateway.settings.shop_id, customer_id, send_id, rest[0] if rest else "", 0)


def event_id(use: str, send_id: str, target: str, action: str, value: str) -> str:
    """Return the id of what a request does: the same if it is repeated."""
    return digest_of(use.encode(), send_id.encode(), target.encode(), action.encode(), value.encode())


def minute_of(moment: datetime) -> str:
    """Return the minute of a time, as a value for `event_id`."""
    return str(int(moment.timestamp()) // 60)


def engagement(gateway: Gateway, link: Link, kind: str, at: datetime, id: str, /, **fields: Any) -> ProducerRecord:
    """Return a record of `email-engagement`.

    Args:
        gateway: the context.
        link: the link that was used.
        kind: the kind of engagement.
        at: the time, UTC.
        id: the id of the event.
        fields: further fields of the schema.
    """
    record = {
        "customer_id": link.customer_id,
        "send_id": link.send_id or None,
        "kind": kind,
        "occurred_at": at,
        "event_id": id,
        **fields,
    }
    return gateway.encoder.record(topics.ENGAGEMENT, link.customer_id, id, record)
