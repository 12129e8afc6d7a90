"""The oracle: it reports nothing for a correct history, and each kind of difference by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from streams.agents.flows import Decision, make_handler
from streams.core.model.address_state import NEW_ADDRESS
from streams.core.model.customer_codec import encode_customer
from streams.core.model.effects import NoteAddress
from streams.core.rules.content_hash import content_hash
from streams.core.rules.ruleset import Ruleset
from streams.core.sending.address_limits import apply, rules_of, suppression_of
from streams.core.values.addresses import address_hash, address_key
from streams.core.values.local_time import utc_from_ms
from streams.mail.address_check import sent_event
from streams.runtime.kafka.partitioner import partition_of
from streams.tools.local.oracle import Replay, Verdict, judge
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.journal import Slice
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.events import shop_ruleset

PARTITIONS = 2
DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
RULESET = shop_ruleset(day_scale=1 / 86_400, shows_pages=True)
HANDLE = make_handler(DECODER, ENCODER, RULESET, PARTITIONS)


@dataclass(frozen=True)
class Record:
    """A committed record, with the methods of a consumer's message."""

    source: str
    number: int
    place: int
    name: bytes | None
    body: bytes | None
    at_ms: int

    def topic(self) -> str:
        """Its topic."""
        return self.source

    def partition(self) -> int:
        """Its partition."""
        return self.number

    def offset(self) -> int:
        """Its offset."""
        return self.place

    def key(self) -> bytes | None:
        """Its key."""
        return self.name

    def value(self) -> Any:
        """Its bytes."""
        return self.body

    def timestamp(self) -> tuple[int, int]:
        """The kind of timestamp (1: the producer's) and the time in ms."""
        return 1, self.at_ms


class ReplayedBatch:
    """The state of one partition, as a worker has it during a batch."""

    def __init__(self, partition: int, now_ms: int) -> None:
        self.partition = partition
        self.now_ms = now_ms
        self.states: dict[bytes, Any] = {}

    def get(self, key: bytes) -> Any:
        """The customer's state, or None."""
        return self.states.get(key)


class History:
    """The records of all topics, and the inbox, after an order was placed, confirmed and thanked for."""

    def __init__(self) -> None:
        self.records: dict[str, list[Any]] = {name: [] for name in topics.SCHEMA_OF}
        self.inbox: Counter[str] = Counter()
        self.partition = partition_of(records.KEY, PARTITIONS)
        self.replayed = ReplayedBatch(self.partition, records.AT_MS)
        self.until_ms = records.AT_MS + 3_600_000
        self.is_cut_short = False
        self.batch(self.put(topics.ORDERS, CODEC.encode("order", records.order())))
        for timer in list(self.records[topics.DELAYS]):
            self.replayed.now_ms = timer_due(timer.value())[1]
            self.batch(self.put(topics.DUE, timer.value()))
        self.arrive()

    def put(self, topic: str, value: bytes | None, key: bytes | None = records.KEY) -> Record:
        """Append a record to `topic`."""
        record = Record(topic, self.partition, len(self.records[topic]), key, value, self.replayed.now_ms)
        self.records[topic].append(record)
        return record

    def batch(self, record: Record) -> None:
        """Write the outputs and the journal entry of a batch that reads only `record`."""
        key, after, outputs = HANDLE(record, self.replayed)
        if key is not None:
            self.replayed.states[key] = after
        for topic, out_key, value, _ in outputs:
            self.put(topic, value, out_key)
        self.journal([Slice(record.source, record.place, record.place)])

    def journal(self, slices: list[Slice]) -> None:
        """Write an entry of the journal."""
        now = records.AT.fromtimestamp(self.replayed.now_ms / 1000, records.AT.tzinfo)
        topic, key, value, _ = ENCODER.journal.checkpoint("flows", self.partition, now, slices, len(slices))
        self.put(topic, value, key)

    def arrive(self) -> None:
        """Report each email as sent, and add it to the inbox once."""
        for command in self.sends:
            self.report(command, "sent")
            self.inbox[command] += 1

    def report(self, send_id: str, outcome: str) -> None:
        """Write the mailer's event of a send."""
        event = records.email_event(send_id=send_id, event_id=f"{send_id}.1.{outcome}", outcome=outcome)
        self.batch(self.put(topics.EVENTS, CODEC.encode("email_event", event)))

    @property
    def sends(self) -> list[str]:
        """The send ids of the commands, in order."""
        return [CODEC.decode("email_command", one.value())["send_id"] for one in self.records[topics.COMMANDS]]

    def verdict(self) -> Verdict:
        """Return the verdict of the oracle."""
        until = self.until_ms
        return judge(self.records, RULESET, CODEC, self.inbox, PARTITIONS, until, is_cut_short=self.is_cut_short)


@pytest.fixture
def history() -> History:
    """A correct history."""
    return History()


def kinds(verdict: Verdict) -> list[str]:
    """Return the kinds of problems, without numbers and examples."""
    return [problem.rpartition(", e.g.")[0].rpartition(":")[0] for problem in verdict.problems]


def test_a_correct_history(history: History) -> None:
    """Nothing is reported, and the states are those of the customers."""
    verdict = history.verdict()
    assert len(history.sends) == 2
    assert verdict.sends == set(history.sends)
    assert (verdict.problems, verdict.lost, verdict.duplicates, verdict.unknown) == ([], [], [], [])
    assert verdict.states.keys() == {records.KEY}


def test_a_heartbeat_is_no_output(history: History) -> None:
    """The mailer writes the timers of heartbeats, so they are not unexpected; one that has not fired is reported like any timer."""
    timer = ENCODER.heartbeats.timer(records.KEY.decode(), records.AT, records.AT).value or b""
    history.put(topics.DELAYS, timer)
    assert kinds(history.verdict()) == ["timers that have not fired"]
    history.batch(history.put(topics.DUE, timer))
    assert len(history.records[topics.HEARTBEATS]) == 1
    assert history.verdict().problems == []


@pytest.mark.parametrize("topic", [topics.COMMANDS, topics.DECISIONS, topics.DELAYS, topics.CUSTOMER_PAGES])
def test_a_missing_output(history: History, topic: str) -> None:
    """An output that the input requires is missing."""
    del history.records[topic][-1]
    assert f"{topic}: missing" in kinds(history.verdict())


@pytest.mark.parametrize("topic", [topics.COMMANDS, topics.DECISIONS, topics.DELAYS, topics.CUSTOMER_PAGES])
def test_an_unexpected_output(history: History, topic: str) -> None:
    """An output exists twice."""
    history.records[topic].append(history.records[topic][0])
    assert f"{topic}: unexpected" in kinds(history.verdict())


def test_an_output_that_differs_by_a_byte(history: History) -> None:
    """An output with other bytes is both missing and unexpected."""
    first = history.records[topics.COMMANDS][0]
    altered = CODEC.encode("email_command", CODEC.decode("email_command", first.value()) | {"priority": 1})
    history.records[topics.COMMANDS][0] = replace(first, body=altered)
    assert kinds(history.verdict()) == ["email-commands: missing", "email-commands: unexpected"]


def test_a_lost_email(history: History) -> None:
    """An email was commanded and reported as sent, and did not arrive."""
    send = history.sends[0]
    del history.inbox[send]
    verdict = history.verdict()
    assert verdict.lost == [send]
    assert verdict.duplicates == []


@pytest.mark.parametrize("outcome", ["refused", "expired", "unknown"])
def test_an_email_that_was_not_sent_is_not_lost(history: History, outcome: str) -> None:
    """An email that did not arrive for a reason is not lost; unknown ones are listed."""
    send = history.sends[0]
    del history.inbox[send]
    history.report(send, outcome)
    verdict = history.verdict()
    assert verdict.lost == []
    assert verdict.unknown == ([send] if outcome == "unknown" else [])


def test_a_deferred_email_is_lost_until_it_arrives(history: History) -> None:
    """An email that was deferred and never retried is lost: `deferred` is not final."""
    send = history.sends[0]
    del history.inbox[send]
    history.report(send, "deferred")
    assert history.verdict().lost == [send]


def test_an_email_that_waits_for_a_retry_when_flows_were_cut_short(history: History) -> None:
    """It is not lost while its retry is due or fired after the end, and nobody commanded it again. Otherwise it is lost."""
    command = DECODER.command(history.records[topics.COMMANDS][-1].value(), [])
    del history.inbox[command.send_id]
    at = utc_from_ms(history.replayed.now_ms)
    timer = ENCODER.reports.retry_timer(command, at + timedelta(seconds=1), at).value or b""
    history.put(topics.DELAYS, timer)
    history.until_ms = history.replayed.now_ms + 1000
    assert history.verdict().lost == [command.send_id]
    history.is_cut_short = True
    assert (history.verdict().lost, history.verdict().waiting) == ([], [command.send_id])
    history.until_ms += 1
    assert history.verdict().lost == [command.send_id]  # its retry should have fired
    history.replayed.now_ms = history.until_ms
    fired = history.put(topics.DUE, timer)
    assert history.verdict().lost == []  # the worker ended before it read the timer
    history.batch(fired)
    assert history.verdict().lost == [command.send_id]


def test_a_duplicate_email(history: History) -> None:
    """An email arrived twice, and one arrived that was never commanded."""
    send = history.sends[1]
    history.inbox[send] += 1
    history.inbox["never-commanded"] += 1
    verdict = history.verdict()
    assert verdict.duplicates == sorted([send, "never-commanded"])
    assert verdict.lost == []


def test_a_timer_that_never_fired(history: History) -> None:
    """A timer is overdue and not on flow-due; a timer that is not due yet is not reported."""
    timer = CODEC.encode("timer", records.timer(timer_id="t-forgotten"))
    history.put(topics.DELAYS, timer)
    assert "timers that have not fired" in kinds(history.verdict())
    history.until_ms = records.AT_MS
    assert "timers that have not fired" not in kinds(history.verdict())


def test_a_retry(history: History) -> None:
    """The command of a retry has no time at which it was due: its timer has."""
    command = DECODER.command(history.records[topics.COMMANDS][-1].value(), [])
    at = utc_from_ms(history.replayed.now_ms)
    timer = ENCODER.reports.retry_timer(command, at + timedelta(milliseconds=1), at)
    history.put(topics.DELAYS, timer.value or b"")
    history.replayed.now_ms += 1
    before = len(history.sends)
    history.batch(history.put(topics.DUE, timer.value or b""))
    assert len(history.sends) == before + 1
    assert history.verdict().problems == []


def test_a_timer_that_was_stored_twice(history: History) -> None:
    """The same timer, stored again, is one timer, and it has fired."""
    before = kinds(history.verdict())
    history.put(topics.DELAYS, history.records[topics.DELAYS][0].value())
    assert "timers that have not fired" not in kinds(history.verdict())
    assert "timers that have not fired" not in before


def test_a_timer_that_fired_twice(history: History) -> None:
    """A timer is on flow-due twice, or was never stored."""
    due = history.records[topics.DUE][0]
    history.batch(history.put(topics.DUE, due.value()))
    assert "timers that fired twice, or were not stored" in kinds(history.verdict())


@pytest.mark.parametrize(
    ("topic", "problem"),
    [(topics.DUE, "timers that fired early"), (topics.CHECKPOINTS, "emails before they were due")],
)
def test_an_early_email(history: History, topic: str, problem: str) -> None:
    """By the time of the record, a timer was fired, or its batch committed, before it was due. The worker's own clock does not count."""
    due_ms = timer_due(history.records[topics.DUE][0].value())[1]
    history.records[topic] = [
        replace(record, at_ms=due_ms - 2000) if record.at_ms >= due_ms else record for record in history.records[topic]
    ]
    assert kinds(history.verdict()) == [problem]


def test_codes(history: History) -> None:
    """A code granted twice, two codes for a claim, and grants without a claim or an existing code are reported.

    The code of a withdrawn claim may be granted again.
    """

    def grant(reward: str, code: str) -> None:
        record = CODEC.encode("code_grant", records.code_grant(reward_id=reward, code=code))
        history.put(topics.GRANTS, record)

    for number in (1, 2):
        claim = {"claimed_at": records.AT, "give_up_at": records.AT, **records.code_grant(reward_id=f"r{number}")}
        history.put(topics.CLAIMS, CODEC.encode("code_claim", claim), b"spring-10")
        code = CODEC.encode("discount_code", records.discount_code(code=f"A{number}"))
        history.put(topics.CODES, code, b"spring-10")
    history.put(topics.CODES, b"rubbish", b"spring-10")

    def found() -> set[str]:
        return {
            kind
            for kind in kinds(history.verdict())
            if kind.startswith(("codes ", "claims ", "granted codes", "withdrawals"))
        }

    grant("r1", "A1")
    assert found() == set()
    grant("r2", "A1")
    assert found() == {"codes granted twice"}
    grant("r2", "A2")
    assert found() == {"codes granted twice", "claims with two codes"}
    times = {"give_up_at": records.AT, "withdrawn_at": records.AT}
    withdrawal = {"reward_id": "r1", "customer_id": "c1", "pool": "spring-10", **times}
    history.put(topics.CLAIM_WITHDRAWALS, CODEC.encode("claim_withdrawal", withdrawal), b"spring-10")
    assert found() == {"claims with two codes"}
    withdrawal["reward_id"] = "r9"
    history.put(topics.CLAIM_WITHDRAWALS, CODEC.encode("claim_withdrawal", withdrawal), b"spring-10")
    assert found() == {"claims with two codes", "withdrawals without a claim"}
    grant("r3", "A9")
    assert found() >= {"codes granted without a claim", "granted codes that are in no pool"}
    assert not any("A1" in problem or "A9" in problem for problem in history.verdict().problems)


def test_an_input_never_read(history: History) -> None:
    """An input is in no batch of the journal."""
    history.put(topics.ORDERS, CODEC.encode("order", records.order(order_id="o2")))
    assert kinds(history.verdict()) == ["input records never read"]


def test_a_report_after_the_end_of_the_workers(history: History) -> None:
    """A report that is newer than the end may be unread, an older one may not."""
    history.put(topics.EVENTS, CODEC.encode("email_event", records.email_event()))
    assert "input records never read" in kinds(history.verdict())
    history.until_ms = history.replayed.now_ms
    assert "input records never read" not in kinds(history.verdict())


def test_an_answer_after_flows_were_cut_short(history: History) -> None:
    """A code that was granted after the end may be unread, an older one and an order may not."""
    history.until_ms = history.replayed.now_ms
    history.put(topics.GRANTS, CODEC.encode("code_grant", records.code_grant()))
    assert "input records never read" in kinds(history.verdict())
    history.is_cut_short = True
    assert "input records never read" not in kinds(history.verdict())
    history.until_ms += 1
    assert "input records never read" in kinds(history.verdict())
    history.until_ms -= 1
    history.put(topics.ORDERS, CODEC.encode("order", records.order(order_id="o2")))
    assert "input records never read" in kinds(history.verdict())


def test_an_input_read_twice(history: History) -> None:
    """An input is in two batches of the journal."""
    history.journal([Slice(topics.ORDERS, 0, 0)])
    assert kinds(history.verdict()) == ["input records read twice"]


def test_each_batch_is_replayed_with_its_own_flows(history: History) -> None:
    """The journal has the hash of the flows that decided. Without those flows, the batch is replayed with those of the stack."""
    other = Ruleset(())
    entry = history.records[topics.CHECKPOINTS][0]
    altered = CODEC.encode("checkpoint", CODEC.decode("checkpoint", entry.value()) | {"flows": content_hash(other)})
    history.records[topics.CHECKPOINTS][0] = replace(entry, body=altered)
    assert history.verdict().problems == []
    verdict = judge(history.records, RULESET, CODEC, history.inbox, PARTITIONS, history.until_ms, others=[other])
    assert "email-commands: unexpected" in kinds(verdict)


def test_the_state_is_computed_from_the_input(history: History) -> None:
    """The state follows from the input alone: another order gives another state."""
    before = history.verdict().states
    assert before == {key: encode_customer(state) for key, state in history.replayed.states.items()}
    history.batch(history.put(topics.ORDERS, CODEC.encode("order", records.order(order_id="o2"))))
    assert history.verdict().states != before


def test_an_erasure_is_right() -> None:
    """After an erasure there is no state, the cancelled timers need not fire, and a withdrawn email need not arrive."""
    history = History()
    history.replayed.now_ms = records.AT_MS
    late = CODEC.encode("order", records.order(order_id="o9"))
    history.batch(history.put(topics.ORDERS, late))
    history.batch(history.put(topics.CUSTOMERS, None))
    assert history.replayed.states[records.KEY] is None
    assert history.records[topics.WITHDRAWALS]
    history.until_ms = timer_due(history.records[topics.DELAYS][-2].value())[1] + 1
    verdict = history.verdict()
    assert (verdict.problems, verdict.lost, verdict.states) == ([], [], {})


def test_a_confirmed_erasure_deletes_the_record_of_the_customer() -> None:
    """The record without a value on `customers` is an output, and then an input; a missing one is reported."""
    history = History()
    history.replayed.now_ms = records.AT_MS
    for stage in ("asked", "confirmed"):
        request = {
            "request_id": "erase-1",
            "customer_id": "c1",
            "kind": "erase",
            "stage": stage,
            "occurred_at": records.AT,
        }
        history.batch(history.put(topics.REQUESTS, CODEC.encode("customer_request", request)))
    (deleted,) = history.records[topics.CUSTOMERS]
    assert kinds(history.verdict()) == ["input records never read"]
    history.batch(deleted)
    assert history.records[topics.CUSTOMER_PAGES][-1].value() is None
    history.until_ms = records.AT_MS
    assert (history.verdict().problems, history.verdict().states) == ([], {})
    history.records[topics.CUSTOMERS].clear()
    assert "customers: missing" in kinds(history.verdict())


def test_the_end_of_a_deferred_email() -> None:
    """The flows agent reports the last outcome of an email that it does not retry: it must be there, and the mailer's are ignored."""
    history = History()
    history.replayed.now_ms = records.AT_MS
    history.batch(history.put(topics.ORDERS, CODEC.encode("order", records.order(order_id="o9"))))
    history.report(history.sends[-1], "deferred")
    history.batch(history.put(topics.CUSTOMERS, None))
    last = CODEC.decode("email_event", history.records[topics.EVENTS][-1].value())
    assert (last["send_id"], last["outcome"], last["reason"]) == (history.sends[-1], "suppressed", "erased")
    history.until_ms = records.AT_MS
    history.batch(history.records[topics.EVENTS][-1])
    assert history.verdict().problems == []
    history.records[topics.EVENTS][-1] = replace(
        history.records[topics.EVENTS][-1],
        body=CODEC.encode("email_event", last | {"event_id": f"{last['send_id']}.1.suppressed"}),
    )
    assert kinds(history.verdict()) == ["email-events: missing"]


def test_a_timer_after_an_erasure_must_fire() -> None:
    """A timer of an order after the erasure is not cancelled."""
    history = History()
    history.replayed.now_ms = records.AT_MS
    history.batch(history.put(topics.CUSTOMERS, None))
    history.batch(history.put(topics.ORDERS, CODEC.encode("order", records.order(order_id="o9"))))
    history.arrive()
    history.until_ms = timer_due(history.records[topics.DELAYS][-1].value())[1] + 1
    assert any("have not fired" in problem for problem in history.verdict().problems)


def test_the_batches_of_an_earlier_program(history: History) -> None:
    """The earlier program's handler decides again about batches without a hash, and its states keep their bytes until they change."""
    seen = []

    def decide(record: Any, replay: Replay) -> Decision:
        seen.append(record.topic())
        key, after, outputs = HANDLE(record, replay)
        return key, b"\x04" + encode_customer(after)[1:], outputs

    verdict = judge(history.records, RULESET, CODEC, history.inbox, PARTITIONS, history.until_ms, earlier=decide)
    assert len(seen) == len(history.records[topics.CHECKPOINTS])
    assert verdict.problems == []
    assert verdict.states[records.KEY][:1] == b"\x04"


def test_the_state_of_an_earlier_program(history: History) -> None:
    """The bytes that an earlier program stored are decoded for this one, and stay as they are until this one changes them."""
    before = judge(history.records, RULESET, CODEC, history.inbox, PARTITIONS, history.until_ms)
    replay = Replay(history.partition)
    replay.states[records.KEY] = b"\x04" + before.states[records.KEY][1:]
    assert replay.stored(records.KEY) == replay.states[records.KEY]
    assert replay.get(records.KEY) == history.replayed.states[records.KEY]


def test_suppressions(history: History) -> None:
    """The mailer's events of addresses are not unexpected; each email counts for its address, and each suppression follows."""
    secret = address_key(b"a secret of the tests, long enough")
    ruleset = shop_ruleset(day_scale=1 / 86_400, address_key=secret, transactional_per_address=1)
    address = address_hash(secret, "anna@example.org").hex()

    def found() -> set[str]:
        args = (history.records, ruleset, CODEC, history.inbox, PARTITIONS, history.until_ms)
        verdict = judge(*args, is_cut_short=history.is_cut_short)
        return {kind for kind in kinds(verdict) if "address" in kind or "suppressions" in kind}

    def count(send_id: str) -> None:
        command = DECODER.command(
            next(r.value() for r in history.records[topics.COMMANDS] if send_id.encode() in r.value())
        )
        topic, key, value, _ = ENCODER.addresses.event(sent_event(bytes.fromhex(address), command), records.AT)
        history.put(topic, value or b"", key)

    assert found() == {"emails that do not count for their address"}
    for send_id in history.sends:
        count(send_id)
    state = NEW_ADDRESS
    for record in history.records[topics.ADDRESS_EVENTS]:
        state = apply(state, DECODER.address_event(record.value()), rules_of(ruleset))
    assert found() == {"wrong suppressions"}
    history.is_cut_short = True
    assert found() == {"wrong suppressions"}
    end, history.until_ms = history.until_ms, history.replayed.now_ms
    assert found() == set()  # the worker ended before it read the newest events
    history.is_cut_short, history.until_ms = False, end
    topic, key, value, _ = ENCODER.addresses.suppression(address, suppression_of(state, rules_of(ruleset)), records.AT)
    history.put(topic, value or b"", key)
    assert found() == set()
    note = NoteAddress(event_id="x", address=address, kind="complained", occurred_at=records.AT)
    topic, key, value, _ = ENCODER.effects.encode(note, records.AT)
    history.put(topic, value or b"", key)
    assert found() == {f"{topics.ADDRESS_EVENTS}: unexpected", "wrong suppressions"}
