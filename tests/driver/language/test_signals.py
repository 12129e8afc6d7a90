"""Signals for other systems, with values."""

from __future__ import annotations

from typing import Any

from streams.core.instances.steps.emit import as_text
from streams.core.model.effects import EmitSignal
from streams.wire.codec import open_codec
from streams.wire.encode.encoder import Encoder
from tests.harness.driver import Driver
from tests.harness.flow_texts import answer_survey, buy, run_of, update_profile


def signals(run: Driver) -> list[dict[str, str]]:
    """The values of each signal."""
    return [effect.data for effect in run.effects if isinstance(effect, EmitSignal)]


def test_a_signal_with_values() -> None:
    """A signal has the values that names have at its step, and fixed texts."""
    data = (
        "{total: order.total, gift: order.is_gift, tags: order.categories, city: customer.city, size: customer.attributes.size,"
        " wedding: customer.dates.wedding, points: field.points, round: repeat.round, channel: \"'sms'\", answer: event.answer}"
    )
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n  - add: {name: points, value: 5}\n"
        "  - wait_for:\n      event: survey.answered\n      up_to: 9d\n      then:\n        - repeat:\n            times: 2\n"
        f"            every: 1d\n            steps: [{{emit: {{name: call, data: {data}}}}}]\n"
    )
    update_profile(run, city="Aarhus")
    buy(run, total_minor=649_50)
    answer_survey(run, "x" * 300)
    (values,) = signals(run)
    expected = {
        "total": "649.5", "gift": "false", "city": "Aarhus", "size": "", "wedding": "", "points": "5", "round": "1", "channel": "sms",
    }  # fmt: skip
    assert {name: values[name] for name in expected} == expected
    assert values["answer"] == "x" * 200


def test_texts_of_values() -> None:
    """Lists are joined, and all texts have 200 characters at most."""
    cases: list[tuple[Any, str]] = [
        (("tea", "tea", "cups"), "tea, cups"),
        (True, "true"),
        (None, ""),
        (3, "3"),
        ((), ""),
    ]
    assert [as_text(value) for value, _ in cases] == [text for _, text in cases]
    assert len(as_text(tuple(map(str, range(500))))) == 200


def test_the_record_of_a_signal() -> None:
    """The record on the topic has the values. A record without them, as earlier versions wrote it, has none."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{emit: {name: call, data: {total: order.total}}}, {emit: plain}]"
    )
    buy(run)
    codec = open_codec()
    encoder = Encoder(codec)
    records = [
        codec.decode("signal", record.value)
        for effect in run.effects
        if isinstance(effect, EmitSignal)
        for record in [encoder.effects.encode(effect, run.now)]
    ]
    assert [(each["kind"], each["data"]) for each in records] == [("call", {"total": "500"}), ("plain", {})]
