"""The global table of withdrawn emails, and when it removes them."""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.agents.global_tables.withdrawals import WithdrawalsTable
from streams.core.model.effects import WithdrawMail
from streams.observability import metrics
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.codec import CODEC
from tests.harness.records import AT

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)


def withdraw(view: WithdrawalsTable, send_id: str, at: datetime) -> None:
    """Apply a withdrawal as the flows agent publishes it."""
    effect = WithdrawMail(withdrawal_id="w", customer_id="c1", send_id=send_id, rule="unsubscribed", withdrawn_at=at)
    topic, key, value, _ = ENCODER.effects.encode(effect, at)
    view.put(topic, key, value)


def test_a_withdrawal_is_kept_as_long_as_its_command() -> None:
    """It is removed afterwards, so that the memory of a long-running mailer does not grow."""
    view = WithdrawalsTable(DECODER, {})
    withdraw(view, "s1", AT)
    withdraw(view, "s2", AT + topics.COMMANDS_RETENTION)
    assert view.rules == {"s1": "unsubscribed", "s2": "unsubscribed"}
    withdraw(view, "s3", AT + topics.COMMANDS_RETENTION + timedelta(seconds=1))
    assert view.rules.keys() == {"s2", "s3"}


def test_an_invalid_record_has_no_effect() -> None:
    """Damaged bytes and a record without a value change nothing, and the next record is applied."""
    view = WithdrawalsTable(DECODER, {})
    for value in (b"?", None):
        view.put(topics.WITHDRAWALS, b"c1", value)
    withdraw(view, "s1", AT)
    assert view.rules.keys() == {"s1"}


def test_withdrawals_are_reported_once_the_table_is_read() -> None:
    """A withdrawal is reported with its key when it is new; one that existed at the start is not, and neither is its repetition."""
    reported: list[tuple[bytes, str]] = []
    bounds = {(topics.WITHDRAWALS, 0): (0, 1)}
    view = WithdrawalsTable(DECODER, bounds, on_withdrawn=lambda key, send_id: reported.append((key, send_id)))
    withdraw(view, "s1", AT)
    assert reported == []
    view.positions[(topics.WITHDRAWALS, 0)] = 1
    for send_id in ("s1", "s2", "s2"):
        withdraw(view, send_id, AT)
    assert reported == [(b"c1", "s2")]


def test_reaching_the_end_is_a_metric() -> None:
    """The gauge changes when the table has reached the end of its topic: a table that stops reading lets it grow old."""
    name = "takk_withdrawals_read_timestamp_seconds"
    metrics.WITHDRAWALS_READ.set(0)
    view = WithdrawalsTable(DECODER, {})
    withdraw(view, "s1", AT)
    assert metrics.REGISTRY.get_sample_value(name) == 0
    view.on_caught_up()
    assert (metrics.REGISTRY.get_sample_value(name) or 0) > AT.timestamp()
