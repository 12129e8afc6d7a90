"""The oracle: recomputes every output from the input, and compares it with the actual output byte by byte.

It does not use the state of a worker. It gets the committed records of all topics, and replays the flows agent's journal
through the core (`flow-checkpoints`: the offsets that each committed batch read, and its time).
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from streams.agents.flows import INPUTS, Decision, make_handler
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.rules.content_hash import content_hash
from streams.core.rules.ruleset import Ruleset
from streams.core.sending.address_limits import rules_of
from streams.core.sending.last_outcomes import NOT_RETRIED
from streams.core.triggers.interests import KNOWN
from streams.core.values.ids import split_send_id
from streams.runtime.avro.codec import Codec
from streams.runtime.errors import InvalidRecord, Misrouted
from streams.tools.local.oracle_emails import (
    check_arrivals,
    check_special_orders,
    check_suppressed_emails,
    is_from_mailer,
    leave_out_waiting,
)
from streams.tools.local.oracle_merges import check_merges
from streams.tools.local.oracle_stages import check_codes, check_counts, check_suppressions
from streams.tools.local.oracle_walks import check_walks, is_of_walk
from streams.tools.local.verdict import Verdict as Verdict
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder

#: Topics that the flows agent writes.
EFFECTS = (
    topics.COMMANDS, topics.DELAYS, topics.DECISIONS, topics.ATTRIBUTED, topics.REWARDS, topics.CLAIMS, topics.CLAIM_WITHDRAWALS, topics.SIGNALS,
    topics.WITHDRAWALS, topics.SALES, topics.ADDRESS_EVENTS, topics.EVENTS, topics.HANDOVERS,
    topics.CUSTOMER_PAGES, topics.INTERESTS,
)  # fmt: skip

#: Reports and timers, of which workers may leave the newest unread, and what other stages answer them.
NEWS, ANSWERS = (topics.EVENTS, topics.DUE), (topics.GRANTS, topics.PRODUCT_CHANGES)

#: Milliseconds by which a timer or an email may be early: corrections of the machine's clock while the pipeline runs.
EARLY_MS = 1000


class Replay:
    """The state of one partition during the replay.

    A state that an earlier program stored stays in its bytes until this program changes it, as it does in the table.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.now_ms = 0
        self.states: dict[bytes, Any] = {}

    def get(self, key: bytes) -> Any:
        """Return the customer's state, or None."""
        state = self.states.get(key)
        return decode_customer(state) if isinstance(state, bytes) else state

    def stored(self, key: bytes) -> bytes | None:
        """Return the customer's state as the table has it, or None."""
        state = self.states.get(key)
        return state if state is None or isinstance(state, bytes) else encode_customer(state)


#: Decides about a record, given the state of its partition. The handler of an earlier program returns the new state in bytes.
Handler: TypeAlias = Callable[[Any, Replay], Decision]


def judge(
    records: Mapping[str, list[Any]],
    ruleset: Ruleset,
    codec: Codec,
    inbox: Counter[str],
    partitions: int,
    until_ms: int,
    others: Iterable[Ruleset] = (),
    earlier: Handler | None = None,
    *,
    is_cut_short: bool = False,
) -> Verdict:
    """Compare the actual output with a recomputation from the input.

    Args:
        records: the records of every topic, as `read_all` returns them.
        ruleset: the ruleset that the worker used.
        codec: decodes the records.
        inbox: how often each send id arrived.
        partitions: number of partitions of every topic.
        until_ms: timers due before this time (ms since 1970) must have fired, and workers must have read all records that are older. They
            may leave a newer report or timer unread, because they end before the mailers and while timers fire.
        others: further rulesets that workers used. The journal has the hash of the one that decided.
        earlier: decides again what an earlier program decided that wrote no hash; None: `ruleset` does.
        is_cut_short: whether the workers ended while flows went on, and the mailers finished what had been decided. Then the answer of
            another stage may be unread, a suppression may lack the newest emails, and an email may wait for a retry, all since `until_ms`.
    """
    verdict = Verdict()
    unread_topics = (*NEWS, *ANSWERS) if is_cut_short else NEWS
    expected = _replay(records, [*others, ruleset], codec, partitions, until_ms, unread_topics, verdict, earlier)
    for topic in EFFECTS:
        _compare(topic, expected[topic], records.get(topic, []), codec, verdict)
    _check_erasures(expected[topics.CUSTOMERS], records[topics.CUSTOMERS], verdict)
    _timers(records, until_ms, verdict)
    check_walks(records, codec, verdict)
    check_arrivals(records, codec, inbox, verdict)
    if is_cut_short:
        leave_out_waiting(records, codec, until_ms, verdict)
    check_counts(records, Decoder(codec), verdict)
    check_codes(records, codec, verdict)
    check_special_orders(records, codec, ruleset.test_recipients, verdict)
    check_merges(records, codec, ruleset, verdict)
    if ruleset.address_key:
        check_suppressed_emails(records, codec, ruleset.address_key, inbox, verdict)
        final_ms = until_ms if is_cut_short else None
        check_suppressions(records, Decoder(codec), rules_of(ruleset), _crashed(records, codec), verdict, final_ms)
    return verdict


def _replay(
    records: Mapping[str, list[Any]],
    rulesets: list[Ruleset],
    codec: Codec,
    partitions: int,
    until_ms: int,
    unread_topics: Collection[str],
    verdict: Verdict,
    earlier: Handler | None,
) -> dict[str, Counter[tuple[bytes, bytes]]]:
    by_position = {(t, r.partition(), r.offset()): r for t in INPUTS for r in records[t]}
    offsets: dict[tuple[str, int], list[int]] = {}
    for topic, partition, offset in sorted(by_position):
        offsets.setdefault((topic, partition), []).append(offset)
    read: Counter[tuple[str, int, int]] = Counter()
    expected: dict[str, Counter[tuple[bytes, bytes]]] = {t: Counter() for t in topics.SCHEMA_OF}
    crashed = _crashed(records, codec)
    handlers: dict[str, Handler] = {
        content_hash(each): make_handler(Decoder(codec), Encoder(codec), each, partitions) for each in rulesets
    }
    newest = handlers[content_hash(rulesets[-1])]
    handlers[""] = earlier or newest  # entries of older versions of Takk have no hash
    replays = [Replay(p) for p in range(partitions)]
    early: list[tuple[bytes, int]] = []
    for entry in records[topics.CHECKPOINTS]:
        batch = codec.decode("checkpoint", entry.value())
        replay, handle = replays[batch["partition"]], handlers.get(batch["flows"], newest)
        replay.now_ms = round(batch["now"].timestamp() * 1000)
        # The time of the entry, because `now` may come from a clock that was wrong.
        latest_ms = entry.timestamp()[1] + EARLY_MS
        for position in _positions(batch, offsets):
            read[position] += 1
            if position in crashed:
                continue
            with contextlib.suppress(InvalidRecord, Misrouted):
                key, after, outputs = handle(by_position[position], replay)
                if key is not None and after is None:
                    replay.states.pop(key, None)
                elif key is not None:
                    replay.states[key] = after
                for name, out_key, value, headers in outputs:
                    expected[name][(out_key, value or b"")] += 1
                    if position[0] == topics.DUE and name == topics.COMMANDS:
                        due_ms = int(dict(headers).get(topics.DUE_AT_HEADER) or 0)  # a retry has none
                        if due_ms > latest_ms:
                            early.append((out_key, due_ms))
    verdict.add_problem("emails before they were due", early)
    never_read = [
        position
        for position, record in by_position.items()
        if position not in read and not (position[0] in unread_topics and record.timestamp()[1] >= until_ms)
    ]
    verdict.add_problem("input records never read", never_read)
    verdict.add_problem("input records read twice", [position for position, times in read.items() if times > 1])
    for replay in replays:
        verdict.states.update({key: state for key in replay.states if (state := replay.stored(key)) is not None})
    for _, value in expected[topics.COMMANDS]:
        verdict.sends.add(codec.decode("email_command", value)["send_id"])
    return expected


def _positions(
    batch: Mapping[str, Any], offsets: Mapping[tuple[str, int], list[int]]
) -> Iterator[tuple[str, int, int]]:
    """Yield the positions of the input records that a committed batch has read, in the order in which it read them.

    Args:
        batch: an entry of the journal.
        offsets: topic and partition -> the offsets of its records, in ascending order.
    """
    for part in batch["slices"]:
        topic, partition = part["topic"], batch["partition"]
        present = offsets.get((topic, partition), [])
        for offset in present[bisect_left(present, part["first"]) : bisect_right(present, part["last"])]:
            yield topic, partition, offset


def _crashed(records: Mapping[str, list[Any]], codec: Codec) -> set[tuple[str, int, int]]:
    """Return the positions of the records that were not processed because they had ended a process twice."""
    letters = [codec.decode("dead_letter", record.value()) for record in records.get(topics.DEAD_LETTERS, ())]
    return {(each["topic"], each["partition"], each["offset"]) for each in letters if each["reason"] == "crashed"}


def _compare(
    topic: str,
    expected: Counter[tuple[bytes, bytes]],
    written: list[Any],
    codec: Codec,
    verdict: Verdict,
) -> None:
    actual: Counter[tuple[bytes, bytes]] = Counter()
    for record in written:
        if record.value() is None:  # cancels the timers of a customer, or removes their page
            actual[(record.key(), b"")] += 1
            continue
        if topic == topics.DELAYS and _is_of_others(codec.decode("timer", record.value())):
            continue
        if topic == topics.INTERESTS and codec.decode("product_interest", record.value())["interest_id"].startswith(
            KNOWN
        ):
            continue
        if topic == topics.DECISIONS and is_from_mailer(codec.decode("flow_decision", record.value())):
            continue
        if topic == topics.EVENTS and _is_report_of_mailer(codec.decode("email_event", record.value())):
            continue
        if topic == topics.ADDRESS_EVENTS and _is_event_of_mailer(codec.decode("address_event", record.value())):
            continue
        if topic == topics.COMMANDS and _is_resend(send_id := codec.decode("email_command", record.value())["send_id"]):
            verdict.sends.add(send_id)
            continue
        actual[(record.key(), record.value())] += 1
    verdict.add_problem(f"{topic}: missing", list((expected - actual).elements()))
    verdict.add_problem(f"{topic}: unexpected", list((actual - expected).elements()))


def _check_erasures(expected: Counter[tuple[bytes, bytes]], written: list[Any], verdict: Verdict) -> None:
    """Check that each erasure that a customer confirmed deleted the record on `customers`, which the shop writes too."""
    deleted = Counter((record.key(), b"") for record in written if record.value() is None)
    verdict.add_problem(f"{topics.CUSTOMERS}: missing", list((expected - deleted).elements()))


def _is_event_of_mailer(event: Mapping[str, Any]) -> bool:
    """Return whether the mailer wrote the event of an address: it tells of the email's attempt."""
    return bool(event["send_id"]) and str(event["event_id"]).startswith(f"{event['send_id']}.")


def _is_report_of_mailer(event: Mapping[str, Any]) -> bool:
    """Return whether the mailer wrote the outcome of an email; the flows agent reports the end of one that it does not retry."""
    return not str(event["event_id"]).endswith(f".{NOT_RETRIED}")


def _is_of_others(timer: Mapping[str, Any]) -> bool:
    """Return whether a timer is a retry or a heartbeat of the mailer, or of a walk. A heartbeat has no flow."""
    return timer["kind"] == "retry" or not timer["flow"] or is_of_walk(timer)


def _is_resend(send_id: str) -> bool:
    """Return whether a person sent an email again, which no input requires."""
    return split_send_id(send_id)[1] > 0


def _timers(records: Mapping[str, list[Any]], until_ms: int, verdict: Verdict) -> None:
    # The timers of a customer are cancelled by a later record without a value. One that was due before may have fired.
    cancelled_at = {(r.partition(), r.key()): r.offset() for r in records[topics.DELAYS] if r.value() is None}
    timers = [r for r in records[topics.DELAYS] if r.value() is not None]
    stored = Counter(timer_due(r.value()) for r in timers)
    due = {timer_due(r.value()) for r in timers if r.offset() > cancelled_at.get((r.partition(), r.key()), -1)}
    fired = Counter(timer_due(r.value()) for r in records[topics.DUE])
    # A schedule that is changed back stores the same timer again: that is one timer, and it fires once.
    verdict.add_problem("timers that have not fired", [t for t in due - fired.keys() if t[1] < until_ms])
    verdict.add_problem("timers that fired twice, or were not stored", list((fired - stored).elements()))
    early = [t for r in records[topics.DUE] if (t := timer_due(r.value()))[1] > r.timestamp()[1] + EARLY_MS]
    verdict.add_problem("timers that fired early", early)
