"""The oracle of emails that must not arrive."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from streams.core.sending.address_limits import SUPPRESSED
from streams.core.values.addresses import address_hash, address_key
from streams.tools.local.oracle_emails import SUPPRESSED_AFTER_MS, check_special_orders, check_suppressed_emails
from streams.tools.local.verdict import Verdict
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from tests.harness import records
from tests.harness.agents import CODEC
from tests.harness.effects import NOW, SEND
from tests.harness.kafka_fakes import Record
from tests.harness.records import AT

KEY = address_key(b"a secret of the tests, long enough")
COMMAND = CODEC.decode("email_command", Encoder(CODEC).effects.encode(SEND, NOW).value or b"")
SEND_ID = COMMAND["send_id"]
DECISION = {
    "decision_id": "s-1.1.x", "customer_id": "c1", "flow": "review", "flow_version": 1, "instance_id": "i1", "step": "0", "outcome": "skip",
    "detail": "", "send_id": SEND_ID, "order_id": None, "decided_at": AT,
}  # fmt: skip
#: When the email was decided, in ms since 1970.
DECIDED_MS = 10 * SUPPRESSED_AFTER_MS


def written(schema: str, record: dict[str, Any], at_ms: int = 0) -> Record:
    """Return a record of a topic, written at `at_ms`."""
    return Record(0, body=CODEC.encode(schema, record), written_ms=at_ms)


def suppression(at_ms: int, *purposes: str) -> Record:
    """Return what a worker published of the recipient at `at_ms`."""
    suppressed = [{"purpose": purpose, "rule": "unsubscribed"} for purpose in purposes]
    address = address_hash(KEY, COMMAND["to_address"]).hex()
    record = {"address": address, "suppressed": suppressed, "capped": [], "limited_until": None, "updated_at": AT}
    return written("suppression", record, at_ms)


def problems(*suppressions: Record, arrives: bool = True, held_back: bool = False) -> list[str]:
    """Return the problems of a marketing email that was decided at `DECIDED_MS` and sent a second later."""
    decided_at = AT.fromtimestamp(DECIDED_MS / 1000, AT.tzinfo)
    sent = records.email_event(send_id=SEND_ID, outcome="sent", occurred_at=decided_at + timedelta(seconds=1))
    found: dict[str, list[Any]] = {
        topics.SUPPRESSIONS: list(suppressions),
        topics.EVENTS: [written("email_event", sent)] if arrives else [],
        topics.DECISIONS: [written("flow_decision", DECISION | {"rule": SUPPRESSED if held_back else "cap"})],
        topics.COMMANDS: [
            written("email_command", COMMAND | {"purpose": "marketing", "commanded_at": decided_at}, DECIDED_MS)
        ],
    }
    verdict = Verdict()
    check_suppressed_emails(found, CODEC, KEY, Counter({SEND_ID: int(arrives)}), verdict)
    return [problem.partition(":")[0] for problem in verdict.problems]


def test_an_email_to_an_address_that_was_suppressed_before() -> None:
    """It must not arrive if the suppression holds since long before the decision, until the email was sent."""
    before = suppression(DECIDED_MS - SUPPRESSED_AFTER_MS, "marketing")
    assert problems(before) == ["emails that arrived at a suppressed address"]
    assert problems(before, suppression(DECIDED_MS + 500, "marketing", "review")) != []
    assert problems(before, arrives=False) == []


def test_an_email_that_may_arrive() -> None:
    """It may arrive if the suppression is of another purpose, too new for every mailer to know, or ended before."""
    before = suppression(DECIDED_MS - SUPPRESSED_AFTER_MS, "marketing")
    assert problems() == []
    assert problems(suppression(0, "review")) == []
    assert problems(suppression(DECIDED_MS - SUPPRESSED_AFTER_MS + 1, "marketing")) == []
    assert problems(before, suppression(DECIDED_MS + 500)) == []


def test_an_email_that_was_held_back() -> None:
    """It has a suppression of its purpose, at any time."""
    assert problems(arrives=False, held_back=True) == ["emails that were held back without a suppression"]
    assert problems(suppression(DECIDED_MS, "marketing"), arrives=False, held_back=True) == []


def special(
    *orders: dict[str, Any], shipments: tuple[dict[str, Any], ...] = (), to: str = "anna@example.org"
) -> list[str]:
    """Return the problems of an email about the order o1."""
    found: dict[str, list[Any]] = {
        topics.ORDERS: [Record(0, body=b"invalid"), *[written("order", order) for order in orders]],
        topics.SHIPMENTS: [written("shipment", shipment) for shipment in shipments],
        topics.COMMANDS: [written("email_command", COMMAND | {"order_id": "o1", "to_address": to})],
    }
    verdict = Verdict()
    check_special_orders(found, CODEC, {"tests@shop.example"}, verdict)
    return [problem.partition(":")[0] for problem in verdict.problems]


def test_an_imported_order_gets_no_email() -> None:
    """An order of which there are only imports gets none; one that is shipped now gets the email of its parcel."""
    imported = records.order(order_id="o1", is_imported=True)
    assert special(imported) == ["emails about imported orders"]
    assert special(imported, shipments=(records.shipment(order_id="o1"),)) == []
    assert special(records.order(order_id="o1")) == []


def test_a_test_order_is_mailed_to_test_recipients() -> None:
    """An email about a test goes to no one else."""
    test = records.order(order_id="o1", is_test=True)
    assert special(test) == ["emails about test orders to others"]
    assert special(test, to="Tests@shop.example") == []
