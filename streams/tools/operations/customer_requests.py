"""`takk requests`: requests of customers that they have confirmed, and that the shop has not marked as done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from msgspec import Struct

from streams.core.handlers.requests import CONFIRM_WITHIN
from streams.core.model.person_events import CONFIRMED_KINDS
from streams.core.values import local_time
from streams.core.values.text import counted
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.kafka.publishing import publish
from streams.runtime.kafka.topic_reader import read_to_the_end
from streams.settings import Settings
from streams.wire import topics
from streams.wire.codec import codec_of

#: How long the shop has to answer. Source: GDPR, article 12(3), one month; a month has at least 28 days.
ANSWER_WITHIN = timedelta(days=28)
#: The work that is left for each kind, once Takk has done its part.
TO_DO: Mapping[str, str] = {
    "export": "run `takk export`, add the data of your other systems, and send it to the customer",
    "erase": "erased here; erase the customer in your other systems",
    "change_address": "changed here; change it in your other systems, or their next record restores the old address",
}


class OpenRequest(Struct, frozen=True, kw_only=True):
    """A request that was confirmed and is not done; `confirmed_at` is in UTC."""

    request_id: str
    customer_id: str
    kind: str
    confirmed_at: datetime

    def text(self, now: datetime) -> str:
        """Return the request as a line: its age, the time that is left, and what to do."""
        age, left = now - self.confirmed_at, self.confirmed_at + ANSWER_WITHIN - now
        due = f"{counted(left.days, 'day')} left" if left >= timedelta() else f"{counted(-left.days, 'day')} overdue"
        return (
            f"{self.confirmed_at:%Y-%m-%d}  {counted(age.days, 'day')} old, {due}  {self.kind} of {self.customer_id}: "
            f"{TO_DO[self.kind]}  [{self.request_id}]"
        )


def read_requests(settings: Settings, on_progress: Callable[[int, int], None]) -> list[OpenRequest]:
    """Return the open requests, the oldest first.

    Raises:
        KafkaException: the cluster is not reachable, or the topic is missing.
        TimeoutError: the broker does not answer.
    """
    messages = read_to_the_end(
        settings.kafka(), [topics.REQUESTS], group_id=settings.reader_group_id, on_progress=on_progress
    )
    within = local_time.scale(CONFIRM_WITHIN, settings.day_scale)
    return open_requests(_records(codec_of(settings), messages), within)


def _records(codec: Codec, messages: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    for message in messages:
        try:
            yield codec.decode("customer_request", message.value() or b"")
        except DecodeFailed:
            continue  # a dead letter of the flows agent


def open_requests(records: Iterable[Mapping[str, Any]], within: timedelta = CONFIRM_WITHIN) -> list[OpenRequest]:
    """Return the open requests among some records, the oldest first.

    The records of one request may have several customer ids, if the customer was merged meanwhile.

    Args:
        records: records of `customer-requests`, in any order.
        within: how long after the request its confirmation counts.
    """
    stages: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {"asked": {}, "confirmed": {}, "done": {}}
    kept = (record for record in records if record["kind"] in CONFIRMED_KINDS and record["stage"] in stages)
    for record in sorted(kept, key=itemgetter("occurred_at")):
        stages[record["stage"]].setdefault((record["request_id"], record["kind"]), record)
    asked, done = stages["asked"], stages["done"]
    found = [
        OpenRequest(request_id=name[0], customer_id=each["customer_id"], kind=name[1], confirmed_at=each["occurred_at"])
        for name, each in stages["confirmed"].items()
        if name in asked and name not in done and each["occurred_at"] <= asked[name]["occurred_at"] + within
    ]
    return sorted(found, key=lambda request: (request.confirmed_at, request.request_id))


def mark_done(settings: Settings, requests: Iterable[OpenRequest], now: datetime) -> None:
    """Publish that the shop has done its part of some requests, and wait until the broker has it. `now` is in UTC.

    Raises:
        KafkaException, TimeoutError: a record was not accepted.
    """
    codec = codec_of(settings)
    records = [
        (
            request.customer_id.encode(),
            codec.encode(
                "customer_request",
                {
                    "request_id": request.request_id,
                    "customer_id": request.customer_id,
                    "kind": request.kind,
                    "stage": "done",
                    "occurred_at": now,
                },
            ),
        )
        for request in requests
    ]
    publish({**settings.kafka(), "partitioner": "murmur2_random"}, topics.REQUESTS, records)
