"""Refusals in records that break a rule: each is honoured, at the time of its record."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.core.model import events
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.avro.schemas import load_schemas
from streams.wire import topics
from streams.wire.codec import SCHEMAS
from streams.wire.decode.decoder import Decoder
from streams.wire.validation import ValidationFailed
from tests.harness.codec import CODEC
from tests.harness.records import AT, AT_MS, KEY, engagement, profile

DECODER = Decoder(CODEC)
RAW = load_schemas(SCHEMAS)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Of the clock of a phone, and of producers that send seconds or microseconds in place of milliseconds.
BROKEN_TIMES = {
    "two days ahead": AT_MS + 2 * 86_400_000,
    "zero": 0,
    "before 2000": 1,
    "negative": -1,
    "seconds": AT_MS // 1000,
    "microseconds": AT_MS * 1000,
    "nanoseconds": AT_MS * 1_000_000,
    "the largest": (1 << 63) - 1,
}


def decode(topic: str, record: dict[str, Any], timestamp_ms: int = AT_MS, now_ms: int = 0) -> Any:
    """Return the event of a record in the current schema."""
    return DECODER.event(topic, KEY, CODEC.encode(topics.SCHEMA_OF[topic], record), timestamp_ms, now_ms)


def foreign(topic: str, record: dict[str, Any], **types: Any) -> Any:
    """Return the event of a record whose writer has other types for some fields; a type of None is a field that the writer lacks."""
    schema = copy.deepcopy(RAW[topics.SCHEMA_OF[topic]])
    for field in schema["fields"]:
        field["type"] = types.get(field["name"], field["type"])
        if field["name"] in types:
            field.pop("default", None)
    schema["fields"] = [field for field in schema["fields"] if field["type"] is not None]
    writer = Codec({"r": schema})
    reader = Codec({name: dict(each) for name, each in RAW.items()}, history=[schema])
    return Decoder(reader).event(topic, KEY, writer.encode("r", record), AT_MS)


def unsubscribed(**changes: Any) -> events.Unsubscribed:
    return events.Unsubscribed(
        **{"customer_id": "c1", "send_id": "s-1", "scope": "marketing", "occurred_at": AT, **changes}
    )


@pytest.mark.parametrize("milliseconds", BROKEN_TIMES.values(), ids=BROKEN_TIMES)
@pytest.mark.parametrize("kind", ["unsubscribed", "complained", "bounced"])
def test_a_broken_time(kind: str, milliseconds: int) -> None:
    """A refusal with an impossible time, or one from the future, is honoured at the time of its record."""
    value = CODEC.encode("engagement", engagement(kind, hard=True, occurred_at=milliseconds))
    event = DECODER.event(topics.ENGAGEMENT, KEY, value, AT_MS)
    assert event.occurred_at == AT
    assert type(event) in (events.Unsubscribed, events.MailComplained, events.MailBounced)


@pytest.mark.parametrize("milliseconds", BROKEN_TIMES.values(), ids=BROKEN_TIMES)
def test_a_no_with_a_broken_time(milliseconds: int) -> None:
    """A profile that says no is honoured at the time of its record, and what it says yes to is left out."""
    record = profile(marketing_consent=False, review_consent=True, occurred_at=milliseconds)
    event = decode(topics.CUSTOMERS, record)
    assert (event.marketing_consent, event.review_consent, event.occurred_at) == (False, None, AT)


def test_a_refusal_without_any_time() -> None:
    """Without a usable time of the record it is the present, and without that no consent is newer."""
    record = engagement("unsubscribed", occurred_at=EPOCH)
    assert decode(topics.ENGAGEMENT, record, -1, AT_MS).occurred_at == AT
    assert decode(topics.ENGAGEMENT, record, -1).occurred_at == datetime(2099, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)


@pytest.mark.parametrize("send_id", ["", "x" * 201, "a\nb", None])
@pytest.mark.parametrize(
    ("kind", "event_type"),
    [
        ("unsubscribed", events.Unsubscribed),
        ("complained", events.MailComplained),
        ("bounced", events.MailBounced),
    ],
)
def test_a_refusal_without_its_email(kind: str, event_type: type, send_id: str | None) -> None:
    """An empty, invalid or missing send id does not matter."""
    event = decode(topics.ENGAGEMENT, engagement(kind, send_id=send_id))
    assert isinstance(event, event_type)
    assert (event.send_id, event.occurred_at) == (None, AT)


def test_a_bounce_without_its_email_keeps_its_kind() -> None:
    """A hard bounce stays hard; a text that is too long is cut."""
    event = decode(topics.ENGAGEMENT, engagement("bounced", send_id=None, hard=True, reason="x" * 3000))
    assert (event.hard, len(event.reason)) == (True, 2000)
    assert not decode(topics.ENGAGEMENT, engagement("bounced", send_id=None)).hard


def enum(name: str, *symbols: str) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols)}


def test_a_newer_symbol_at_a_worker_of_the_former_schema() -> None:
    """A worker whose schema lacks `service` honours a refusal of service emails by the symbol that the writer wrote."""
    former = dict(json.loads((SCHEMAS / "history" / "engagement-5e5db1e26736bee0.avsc").read_text(encoding="utf-8")))
    old = Codec({**{name: dict(each) for name, each in RAW.items()}, "engagement": former}, history=[RAW["engagement"]])
    value = CODEC.encode("engagement", engagement("unsubscribed", scope="service"))
    assert Decoder(old).event(topics.ENGAGEMENT, KEY, value, AT_MS) == unsubscribed(scope="service")


def test_the_scope_service() -> None:
    """A record of the present schema refuses service emails."""
    assert decode(topics.ENGAGEMENT, engagement("unsubscribed", scope="service")) == unsubscribed(scope="service")


@pytest.mark.parametrize("scope", ["all", "newsletter", "profile", "sms"])
def test_an_unknown_scope(scope: str) -> None:
    """A scope that this version does not know, as a symbol or a text, counts as marketing."""
    record = engagement("unsubscribed", scope=scope)
    as_symbol = ["null", enum("takk.UnsubscribeScope", "marketing", "review", "survey", scope)]
    assert foreign(topics.ENGAGEMENT, record, scope=as_symbol) == unsubscribed()
    assert foreign(topics.ENGAGEMENT, record, scope="string") == unsubscribed()


def test_a_known_scope_as_a_text() -> None:
    """A text that names a scope is that scope."""
    assert foreign(topics.ENGAGEMENT, engagement("unsubscribed", scope=" Review"), scope="string") == unsubscribed(
        scope="review"
    )


@pytest.mark.parametrize(
    ("kind", "event_type"),
    [
        ("unsubscribe", events.Unsubscribed),
        ("list_unsubscribe", events.Unsubscribed),
        ("opt_out", events.Unsubscribed),
        ("OptedOut", events.Unsubscribed),
        ("spam_report", events.MailComplained),
        ("complaint", events.MailComplained),
        ("hard_bounce", events.MailBounced),
    ],
)
def test_a_kind_of_another_system(kind: str, event_type: type) -> None:
    """Kinds that are clearly refusals are honoured, as symbols and as texts."""
    symbols = enum("takk.EngagementKind", "delivered", kind)
    for written in (symbols, "string"):
        assert isinstance(foreign(topics.ENGAGEMENT, engagement(kind), kind=written), event_type)
    assert foreign(topics.ENGAGEMENT, engagement("hard_bounce"), kind="string").hard


def test_a_refusal_that_lacks_fields() -> None:
    """A writer without times and send ids is understood."""
    assert foreign(topics.ENGAGEMENT, engagement("unsubscribed"), occurred_at=None, send_id=None) == unsubscribed(
        send_id=None
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"locale": "../../etc/passwd"},
        {"email": "anna"},
        {"country": "Denmark"},
        {"birthday": "1 May"},
        {"name": "n" * 501},
        {"gender": "g" * 41},
        {"time_zone": "z" * 201},
        {"consent_notice": "a\nb"},
        {"consent_source": "s" * 201},
        {"consent_wording": "w" * 301},
        {"occurred_at": EPOCH},
        {"occurred_at": AT + timedelta(days=2)},
    ],
    ids=lambda broken: next(iter(broken)),
)
@pytest.mark.parametrize(
    "consent", ["marketing_consent", "tracking_consent", "review_consent", "survey_consent", "profile_consent"]
)
def test_a_no_beside_a_broken_value(consent: str, broken: dict[str, Any]) -> None:
    """The refusal counts. The broken value and every yes are left out, and the other values are kept."""
    known = {"name": "Anna", "locale": "da", "country": "dk", "email": "anna@example.org", "time_zone": "Europe/Oslo"}
    others = dict.fromkeys(("marketing_consent", "review_consent"), True)
    event = decode(topics.CUSTOMERS, profile(**{**known, **others, consent: False, **broken}))
    expected = {**known, "country": "DK", **dict.fromkeys(broken)}
    for name, value in expected.items():
        assert getattr(event, name) == (AT if name == "occurred_at" else value), name
    for name in ("marketing_consent", "tracking_consent", "review_consent", "survey_consent", "profile_consent"):
        assert getattr(event, name) is (False if name == consent else None)
    assert event.has_bad_address == ("email" in broken)


@pytest.mark.parametrize("value", ["no", "No", "false", "0", "off", "nej", "unsubscribed", "denied", "maybe", "?"])
def test_a_no_as_a_text(value: str) -> None:
    """A text that is not clearly a yes is a no."""
    event = foreign(topics.CUSTOMERS, profile(marketing_consent=value), marketing_consent="string")
    assert event.marketing_consent is False


@pytest.mark.parametrize("value", [0, 2, -1])
def test_a_no_as_a_number(value: int) -> None:
    """Each number but 1 is a no."""
    event = foreign(topics.CUSTOMERS, profile(marketing_consent=value), marketing_consent="long")
    assert event.marketing_consent is False


def test_a_yes_as_a_text_is_no_consent() -> None:
    """A yes in a record that is broken, and refuses nothing, is a dead letter: it is not evidence."""
    for value in ("yes", "true", ""):
        with pytest.raises(DecodeFailed, match="incompatible"):
            foreign(topics.CUSTOMERS, profile(marketing_consent=value), marketing_consent="string")
    with pytest.raises(ValidationFailed, match="bad_time"):
        decode(topics.CUSTOMERS, profile(marketing_consent=True, occurred_at=EPOCH))


@pytest.mark.parametrize("email", ["@", "anna", "anna@", "a@b, c@d", "Anna <anna@example.org>", "a@exam ple.org"])
def test_a_change_to_an_address_that_is_not_one(email: str) -> None:
    """The event says that the address is bad, and has none."""
    event = decode(topics.CUSTOMERS, profile(email=email, name="Anna"))
    assert (event.email, event.has_bad_address, event.name) == (None, True, "Anna")


@pytest.mark.parametrize("kind", ["delivered", "opened", "clicked", "answered", "unknown"])
def test_other_engagement_is_a_dead_letter(kind: str) -> None:
    """A record that refuses nothing and breaks a rule is rejected as before."""
    with pytest.raises(ValidationFailed, match="bad_time"):
        decode(topics.ENGAGEMENT, engagement(kind, occurred_at=EPOCH, link="https://shop.example/"))


@pytest.mark.parametrize("customer_id", ["", "c\n1", "c" * 201])
def test_a_refusal_of_nobody(customer_id: str) -> None:
    """Without a valid customer id a refusal cannot be honoured."""
    with pytest.raises(ValidationFailed):
        decode(topics.ENGAGEMENT, engagement("unsubscribed", customer_id=customer_id, occurred_at=EPOCH))


def test_damaged_bytes_are_no_refusal() -> None:
    """A record that is cut, or has more bytes than its schema, is a dead letter."""
    value = CODEC.encode("engagement", engagement("unsubscribed"))
    for damaged in (value[:-2], value + b"\x00", value[:9], b"", b"unsubscribed"):
        with pytest.raises(DecodeFailed):
            DECODER.event(topics.ENGAGEMENT, KEY, damaged, AT_MS)
