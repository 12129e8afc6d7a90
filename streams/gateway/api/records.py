"""A JSON record to a record of its topic, or the reasons why it is refused.

A record is checked by the same functions with which the workers decode it, so that no accepted record becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from streams.core.model.events import CustomerMerged
from streams.core.model.person_events import ProfileUpdated
from streams.core.values.ids import digest_of
from streams.gateway.api.conversion import Issue, Issues
from streams.gateway.api.json_text import InvalidJson, parse_json
from streams.gateway.api.keys import ApiKey
from streams.gateway.api.kinds import Target, choose
from streams.runtime.kafka.producer_record import ProducerRecord, size_of
from streams.wire import topics
from streams.wire.validation import RULES, Record, ValidationFailed, parse_id

if TYPE_CHECKING:
    from streams.gateway.encoding import RecordEncoder

ACCEPTED, REFUSED = 202, 422
#: Bytes of one record in JSON.
MAX_RECORD_BYTES = 1 << 20


class Result:
    """The outcome of one record of a request.

    Attributes:
        id: the id of the record, the same if it is sent again.
        record: what is published, or None if it was refused.
        issues: why it was refused, or what the shop should know of an accepted record.
        line: the number of its line in a batch, from 1.
    """

    def __init__(self, record_id: str, line: int) -> None:
        self.id, self.line = record_id, line
        self.record: ProducerRecord | None = None
        self.issues = Issues()

    @property
    def status(self) -> int:
        """202, or 422 if the record was refused."""
        return REFUSED if self.record is None else ACCEPTED

    def as_json(self) -> dict[str, Any]:
        """Return the result for an answer."""
        body: dict[str, Any] = {"line": self.line, "status": self.status, "id": self.id}
        if self.issues:
            body["errors" if self.record is None else "warnings"] = [issue.as_json() for issue in self.issues]
        return body


def record_id(endpoint: str, key: ApiKey, idempotency_key: str, number: int, raw: bytes) -> str:
    """Return the id of a record: that of its place in the request if the client has named the request, else that of its bytes."""
    parts = (
        ("key", endpoint, key.id, idempotency_key, str(number)) if idempotency_key else ("bytes", endpoint, key.shop)
    )
    return digest_of(*(part.encode() for part in parts), b"" if idempotency_key else raw.strip())


def judge(
    raw: bytes, result: Result, targets: tuple[Target, ...], key: ApiKey, encoder: RecordEncoder, now: datetime
) -> None:
    """Check one record, and put what is published, or the issues, into `result`."""
    issues = result.issues
    if len(raw) > MAX_RECORD_BYTES:
        issues.add("", f"the record has {len(raw):,} bytes", f"a record has at most {MAX_RECORD_BYTES:,} bytes")
        return
    try:
        value = parse_json(raw)
    except InvalidJson as error:
        issues.add("", str(error))
        return
    target = choose(targets, value, issues)
    record = target.convert(value, issues) if target is not None else None
    if target is None or record is None:
        return
    if target.topic == topics.ORDERS and not _belongs(record, key, issues):
        return
    if target.topic == topics.ENGAGEMENT and record["event_id"] is None:
        record["event_id"] = result.id
    try:
        if not record[target.key]:
            raise ValidationFailed("bad_id", f"{target.key} is empty")
        parse_id(record, target.key)
        event = target.decode(record, now)
        published = encoder.record(target.topic, record[target.key], result.id, record)
        if size_of(published.key, published.value, published.headers) > topics.RECORD_LIMITS[target.topic]:
            raise ValidationFailed("too_large", "the record does not fit into its topic")
    except ValidationFailed as error:
        issues.append(broken_rule(error, target.schema))
        return
    issues += _warnings(event)
    result.record = published


def _belongs(record: Record, key: ApiKey, issues: Issues) -> bool:
    """Return whether an order is one of the key's shop. An order that names no shop becomes one of it."""
    if key.shop and record["shop_id"] not in ("", key.shop):
        issues.add("shop_id", "the order is of another shop than the API key", f"leave it out, or write '{key.shop}'")
        return False
    record["shop_id"] = record["shop_id"] or key.shop
    return True


def broken_rule(error: ValidationFailed, schema: Mapping[str, Any]) -> Issue:
    """Return the issue of a record that breaks a rule. Most explanations start with the path of the field."""
    path = error.detail.split(" ", 1)[0].rstrip(":")
    names = {field["name"] for field in schema["fields"]}
    return Issue(path if path.split(".")[0] in names else "", error.detail, RULES.get(error.rule, ""))


def _warnings(event: object) -> list[Issue]:
    """Return what the shop should know of an accepted record: parts of it are not used."""
    if getattr(getattr(event, "order", None), "has_bad_address", False):
        return [Issue("email", "not an email address", "the order counts, but no email about it is sent")]
    profile = event.profile if isinstance(event, CustomerMerged) else event
    if isinstance(profile, ProfileUpdated) and profile.flaws:
        return [Issue("", f"left out or cut: {profile.flaws}")]
    return []
