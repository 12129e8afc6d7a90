"""The end of a demo for the gateway: compares what it accepted, from recipients and from the shop, with the records on the topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from streams.core.values.text import counted
from streams.mail.tokens import LinkKeys
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.tools.local.api_client import IDENTITY, identity_of
from streams.tools.local.recipients.actions import Actions
from streams.tools.local.recipients.comparison import TOPICS, SeenRecord, compare
from streams.wire.topics import SCHEMA_OF

#: The headers with the id of a record and with its writer, and the gateway's name there.
_ID, _SOURCE, _GATEWAY = "ce_id", "ce_source", b"/takk/gateway"


def summarize_gateway(
    records: Mapping[str, Sequence[Any]],
    codec: Codec,
    actions: Actions,
    keys: LinkKeys,
    sent: Sequence[tuple[str, ...]],
) -> dict[str, Any]:
    """Return the summary of the gateway.

    Args:
        records: the messages of the topics.
        codec: decodes them.
        actions: what the recipients did.
        keys: open the links.
        sent: the identities of the records that the JSON API accepted.
    """
    of_shop = set(sent)
    of_recipients = (
        record
        for record in _written(records, codec, TOPICS)
        if record.topic not in IDENTITY or identity_of(record.topic, record.value) not in of_shop
    )
    found = compare(actions.accepted, of_recipients, keys)
    lost, duplicates = +found.lost, +found.duplicates
    ids: dict[tuple[str, ...], set[str]] = {}
    for record in _written(records, codec, IDENTITY):
        ids.setdefault(identity_of(record.topic, record.value), set()).add(record.id)
    wanted = Counter(sent)
    by_record = {identity: len(ids.get(identity, ())) - times for identity, times in wanted.items()}
    lost["JSON API"] = -sum(difference for difference in by_record.values() if difference < 0)
    duplicates["JSON API"] = sum(difference for difference in by_record.values() if difference > 0)
    return {
        "actions": actions.by_kind(),
        "lost": lost.total(),
        "duplicates": duplicates.total(),
        "lost_by_kind": dict(+lost),
        "duplicates_by_kind": dict(+duplicates),
        "repeats": found.repeats,
        "others": found.others,
        "unanswered": actions.unanswered,
        "refused": dict(actions.refused),
        "scanned_links": actions.scanned,
    }


def problems_of(gateway: Mapping[str, Any]) -> list[str]:
    """Return one line for each kind of error in the summary of a gateway."""
    return [
        *(f"accepted by the gateway, but not on the topics: {n} {kind}" for kind, n in gateway["lost_by_kind"].items()),
        *(f"done twice by the gateway: {n} {kind}" for kind, n in gateway["duplicates_by_kind"].items()),
        *(
            f"answer of the gateway that no customer should get: {n} times {what}"
            for what, n in gateway["refused"].items()
        ),
    ]


def gateway_lines(gateway: Mapping[str, Any], api_records: int) -> list[str]:
    """Return what a demo prints of the summary of a gateway."""
    actions = gateway["actions"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in actions.items())
    notes = [
        *[f"{gateway['repeats']} repeated without effect"] * bool(gateway["repeats"]),
        *[f"{gateway['unanswered']} without an answer"] * bool(gateway["unanswered"]),
        *[f"{gateway['others']} by others, such as you"] * bool(gateway["others"]),
    ]
    return [
        f"actions  {sum(actions.values())} of recipients over HTTP: {kinds}"
        if actions
        else "actions  0 of recipients over HTTP",
        f"         {counted(api_records, 'record')} of the shop through the JSON API; mail scanners followed"
        f" {counted(gateway['scanned_links'], 'link')}",
        f"         lost={gateway['lost']} duplicates={gateway['duplicates']} (compared with what the gateway accepted)"
        f"{'; ' if notes else ''}{', '.join(notes)}",
    ]


def _written(records: Mapping[str, Sequence[Any]], codec: Codec, names: Iterable[str]) -> Iterable[SeenRecord]:
    """Yield the records that the gateway wrote to topics."""
    for topic in names:
        for message in records[topic]:
            headers = dict(message.headers() or ())
            if headers.get(_SOURCE) == _GATEWAY:
                with suppress(DecodeFailed):
                    value = codec.decode(SCHEMA_OF[topic], message.value() or b"")
                    yield SeenRecord(topic, headers[_ID].decode(), value)
