"""A client of the JSON API, as a shop without Kafka would have it: records go out in batches, and again until they are accepted."""

from __future__ import annotations

import http.client
import queue
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from msgspec import Struct

from streams.gateway.api import kinds
from streams.wire import topics

#: Topic -> the endpoint that takes its records.
ENDPOINTS = {topic: endpoint for endpoint, names in kinds.ENDPOINTS.items() for topic in names}
#: Topic -> the fields that tell the records of a simulated shop apart.
IDENTITY = {
    topics.ORDERS: ("order_id", "kind", "occurred_at"),
    topics.SHIPMENTS: ("parcel_id", "status", "occurred_at"),
    topics.CUSTOMERS: ("customer_id", "occurred_at"),
    topics.PRODUCTS: ("sku", "updated_at"),
    topics.BROWSING: ("customer_id", "kind", "sku", "occurred_at"),
    topics.ENGAGEMENT: ("customer_id", "kind", "sku", "order_id", "occurred_at"),
}
#: Records of one request, and the statuses after which it is sent again.
MAX_BATCH, _AGAIN = 500, (429, 503)
_TIMEOUT_S, _PAUSE_S = 30.0, 0.5
_NOTHING = ()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def identity_of(topic: str, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what tells a record apart from all others of a simulated shop, the same before and after its journey."""
    return (topic, *(_text(record.get(name)) for name in IDENTITY[topic]))


def _text(value: str | datetime | None) -> str:
    """Return a value as text; of a time its milliseconds, which is the precision of records."""
    return str((value - _EPOCH) // timedelta(milliseconds=1)) if isinstance(value, datetime) else value or ""


class _Item(Struct, frozen=True):
    """An encoded record for an endpoint."""

    endpoint: str
    record: bytes
    identity: tuple[str, ...] | None


class ApiFailed(RuntimeError):
    """The API refused a record."""


class ApiClient:
    """A thread that sends records in their order.

    Args:
        url: the address of the gateway.
        key: an API key with the role admin.

    Attributes:
        accepted: number of records that were accepted.
        identities: those of the accepted records that have one.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self.accepted = 0
        self.identities: list[tuple[str, ...]] = []
        self._error: Exception | None = None
        self._is_over = threading.Event()
        self._records: queue.Queue[_Item | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="api-client", daemon=True)
        self._thread.start()

    def send(self, topic: str, record: dict[str, Any]) -> None:
        """Send a record, later. Raise ApiFailed if an earlier one was refused."""
        self._check()
        identity = identity_of(topic, record) if topic in IDENTITY else None
        self._records.put(_Item(ENDPOINTS[topic], orjson.dumps(record, option=orjson.OPT_UTC_Z), identity))

    def close(self, timeout_s: float = 60.0) -> None:
        """Wait until all records are accepted. Raise ApiFailed if one was refused, or if that takes too long."""
        self._records.put(None)
        self._thread.join(timeout_s)
        self._is_over.set()
        self._thread.join()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            item: _Item | tuple[()] | None = self._records.get()
            while item:
                batch = [item]
                item = self._next()
                while item and item.endpoint == batch[0].endpoint and len(batch) < MAX_BATCH:
                    batch.append(item)
                    item = self._next()
                self._post(batch[0].endpoint, [each.record for each in batch])
                self.accepted += len(batch)
                self.identities += [each.identity for each in batch if each.identity is not None]
                if item == _NOTHING:
                    item = self._records.get()
        except ApiFailed as error:
            self._error = error

    def _next(self) -> _Item | tuple[()] | None:
        """Return the next record, `_NOTHING` if none waits, or None at the end."""
        try:
            return self._records.get_nowait()
        except queue.Empty:
            return _NOTHING

    def _post(self, endpoint: str, batch: list[bytes]) -> None:
        request = urllib.request.Request(  # noqa: S310 - the address of the gateway, which is http
            f"{self._url}/v1/{endpoint}",
            data=b"\n".join(batch),
            headers={
                "Authorization": f"Bearer {self._key}",
                "Content-Type": "application/x-ndjson",
                "Idempotency-Key": str(uuid.uuid4()),
            },
        )
        while True:
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
                    body = answer.read()
                    if answer.status != http.HTTPStatus.ACCEPTED:
                        raise ApiFailed(
                            f"/v1/{endpoint} answered {answer.status}: {body[:500].decode(errors='replace')}"
                        )
                    return
            except urllib.error.HTTPError as error:
                if error.code not in _AGAIN:
                    raise ApiFailed(
                        f"/v1/{endpoint} answered {error.code}: {error.read(500).decode(errors='replace')}"
                    ) from error
            except (OSError, http.client.HTTPException) as error:
                if self._is_over.is_set():
                    raise ApiFailed(f"/v1/{endpoint} does not answer ({type(error).__name__})") from error
            if self._is_over.wait(_PAUSE_S):
                raise ApiFailed(f"/v1/{endpoint} did not accept {len(batch)} records in time")
