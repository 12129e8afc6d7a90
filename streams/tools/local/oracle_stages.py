"""The oracle of the stages besides flows: what they wrote follows from the topics that they read."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from streams.core.model.address_state import NEW_ADDRESS, NOTHING_SUPPRESSED, AddressState, Suppression
from streams.core.model.events import MailReported
from streams.core.offers.popularity import Counts, Tally, sales_of
from streams.core.sending.address_limits import AddressRules, apply, suppression_of
from streams.mail.address_check import COUNTED
from streams.runtime.avro.codec import Codec
from streams.runtime.errors import InvalidRecord
from streams.tools.local.verdict import Verdict
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.products import counts_key


def check_counts(records: Mapping[str, list[Any]], decoder: Decoder, verdict: Verdict) -> None:
    """Check that the newest counts of each product and partition follow from its sales, each counted once."""
    tallies: dict[bytes, Tally] = {}
    for record in records[topics.SALES]:
        for sale in sales_of(decoder.sales(record.value())):
            key = counts_key(sale.sku, record.partition()).encode()
            tallies.setdefault(key, Tally(Counts(sale.sku, record.partition()))).add(sale)
    expected = {key: tally.counts() for key, tally in tallies.items()}
    actual = {record.key(): decoder.counts(record.value()) for record in records[topics.POPULARITY]}
    verdict.add_problem("wrong product counts", [k for k in expected | actual if expected.get(k) != actual.get(k)])


def check_codes(records: Mapping[str, list[Any]], codec: Codec, verdict: Verdict) -> None:
    """Check that each grant has a claim and a code of the pool, that each claim has one code, and each code one claim.

    The code of a withdrawn claim returns to its pool, so it may be granted again.
    """
    read = {
        t: [codec.decode(topics.SCHEMA_OF[t], r.value()) for r in records[t]]
        for t in (topics.CLAIMS, topics.CLAIM_WITHDRAWALS, topics.GRANTS)
    }
    claims = {(claim["pool"], claim["reward_id"]) for claim in read[topics.CLAIMS]}
    withdrawn = {(claim["pool"], claim["reward_id"]) for claim in read[topics.CLAIM_WITHDRAWALS]}
    verdict.add_problem("withdrawals without a claim", withdrawn - claims)
    grants = [(grant["pool"], grant["reward_id"], grant["code"]) for grant in read[topics.GRANTS]]
    stock = set()
    for record in records[topics.CODES] if grants else ():
        with contextlib.suppress(InvalidRecord):  # invalid codes are in the dead letters
            code = Decoder(codec).code(record.value())
            stock.add((code.pool, code.code))
    verdict.add_problem("codes granted without a claim", [grant[:2] for grant in grants if grant[:2] not in claims])
    # Identified by the reward, never by the code, because the verdict is printed.
    verdict.add_problem(
        "granted codes that are in no pool", [grant[:2] for grant in grants if (grant[0], grant[2]) not in stock]
    )
    kept = [grant for grant in grants if grant[:2] not in withdrawn]
    times = Counter((pool, code) for pool, _, code in kept)
    verdict.add_problem("codes granted twice", [grant[:2] for grant in kept if times[(grant[0], grant[2])] > 1])
    granted = Counter(grant[:2] for grant in grants)
    verdict.add_problem("claims with two codes", [claim for claim, count in granted.items() if count > 1])


def check_suppressions(
    records: Mapping[str, list[Any]],
    decoder: Decoder,
    rules: AddressRules,
    crashed: set[tuple[str, int, int]],
    verdict: Verdict,
    final_ms: int | None = None,
) -> None:
    """Check that each email that was sent counts for its address, and that the newest suppression of each address follows from its events.

    Args:
        records: the records of every topic.
        decoder: decodes them.
        rules: the limits of every address.
        crashed: the positions of the records that no stage processed.
        verdict: receives the problems.
        final_ms: the stage may have ended before it processed events since this time (ms since 1970); None: it has processed all.
    """
    states: defaultdict[str, AddressState] = defaultdict(lambda: NEW_ADDRESS)
    expected: defaultdict[str, list[Suppression]] = defaultdict(list)
    counted = set()
    for record in records.get(topics.ADDRESS_EVENTS, []):
        if (record.topic(), record.partition(), record.offset()) not in crashed:
            event = decoder.address_event(record.value())
            state = states[event.address] = apply(states[event.address], event, rules)
            if final_ms is None or record.timestamp()[1] < final_ms:
                expected[event.address].clear()
            elif not expected[event.address]:
                expected[event.address].append(NOTHING_SUPPRESSED)
            expected[event.address].append(suppression_of(state, rules))
            if event.kind == "sent":
                counted.add(event.send_id)
    reports = [decoder.event(topics.EVENTS, r.key(), r.value(), 0) for r in records[topics.EVENTS]]
    sent = {report.send_id for report in reports if isinstance(report, MailReported) and report.outcome in COUNTED}
    verdict.add_problem("emails that do not count for their address", sent - counted)
    newest = dict(decoder.suppression(record.value()) for record in records.get(topics.SUPPRESSIONS, []))
    wrong = [
        address
        for address in newest | expected
        if newest.get(address, NOTHING_SUPPRESSED) not in expected.get(address, [NOTHING_SUPPRESSED])
    ]
    verdict.add_problem("wrong suppressions", wrong)
