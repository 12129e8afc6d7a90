"""Instances: what the stored form of a wait means."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.core.model.instance import Instance, awaits_pool, awaits_target
from streams.core.rules.flow import DATE_STEP, SEGMENT_STEP
from tests.harness.driver import START

WAITING = Instance("i1", "review", 1, "o1", None, "1.0.0", START, START)


@pytest.mark.parametrize(
    ("awaits", "event", "pool", "target"),
    [
        ("", "", "", ""),
        ("mail.opened", "mail.opened", "", ""),
        ("code of spring 10", "", "spring 10", ""),
        ("@1.0.0 1772442000", "", "", "1.0.0"),
        ("@1.0.0 ", "", "", "1.0.0"),
    ],
)
def test_what_an_instance_waits_for(awaits: str, event: str, pool: str, target: str) -> None:
    """Stored waits of every kind are read as an event, a pool or a target time."""
    instance = replace(WAITING, awaits=awaits)
    assert (instance.awaited_event, instance.awaited_pool, instance.awaited_target) == (event, pool, target)


def test_stored_form_of_waits() -> None:
    """Waits for codes and target times are written in the form that earlier versions stored."""
    assert awaits_pool("spring 10") == "code of spring 10"
    assert awaits_target("1.0.0", START) == f"@1.0.0 {int(START.timestamp())}"
    assert awaits_target("1.0.0", None) == "@1.0.0 "


@pytest.mark.parametrize(
    ("step", "trigger_data", "expected"),
    [
        ("1.0.0", (), (True, False, False, False)),
        (DATE_STEP, (), (False, True, False, False)),
        (DATE_STEP, (("sku", "tea-9"),), (False, False, True, False)),
        (SEGMENT_STEP, (), (False, False, False, True)),
    ],
)
def test_what_a_start_waits_for(
    step: str, trigger_data: tuple[tuple[str, str], ...], expected: tuple[bool, bool, bool, bool]
) -> None:
    """An instance has started, or waits for a date, a launch or a segment."""
    instance = replace(WAITING, step=step, trigger_data=trigger_data)
    assert expected == (
        instance.has_started,
        instance.waits_for_date,
        instance.waits_for_launch,
        instance.waits_for_segment,
    )
