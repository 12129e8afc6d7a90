"""The withdrawn mails in memory, and that they are forgotten in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.agents.global_tables.withdrawals import WithdrawalsTable
from streams.core.model.effects import WithdrawMail
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.records import AT

CODEC = open_codec()
DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)


def told(view: WithdrawalsTable, send_id: str, at: datetime) -> None:
    """The view hears of a withdrawal, as the flows agent writes it."""
    effect = WithdrawMail(withdrawal_id="w", customer_id="c1", send_id=send_id, rule="unsubscribed", withdrawn_at=at)
    topic, key, value, _ = ENCODER.effects.encode(effect, at)
    view.put(topic, key, value)


def test_a_withdrawal_holds_as_long_as_a_command_can_lie() -> None:
    """Then it is forgotten, so that a mailer that runs for years does not grow."""
    view = WithdrawalsTable(DECODER, {})
    told(view, "s1", AT)
    told(view, "s2", AT + topics.COMMANDS_RETENTION)
    assert view.rules == {"s1": "unsubscribed", "s2": "unsubscribed"}
    told(view, "s3", AT + topics.COMMANDS_RETENTION + timedelta(seconds=1))
    assert view.rules.keys() == {"s2", "s3"}


def test_what_cannot_be_read_withdraws_nothing() -> None:
    """Rubbish and a record without a value change nothing, and the next is read."""
    view = WithdrawalsTable(DECODER, {})
    for value in (b"?", None):
        view.put(topics.WITHDRAWALS, b"c1", value)
    told(view, "s1", AT)
    assert view.rules.keys() == {"s1"}
