"""templates/README.md against the code: every word of the language is in it, and every flow in it is right."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from streams.core import flow_keys
from streams.core.condition_names import NAMES
from streams.core.consent_policy import Purpose
from streams.core.flow import AWAITED, EXITS, TRIGGERS, Clock, Flow, Moment, OncePer, Status, Which
from streams.core.flow_language import parse_flow
from streams.core.rules_language import parse_rules, parse_segments
from streams.testing import Scenario
from tests.driver.facts import TEMPLATES

GUIDE = (TEMPLATES / "README.md").read_text(encoding="utf-8")
KEYS = [
    *flow_keys.FLOW.known, *flow_keys.TRIGGER.known, *flow_keys.STEP.known, *flow_keys.WAIT.known, *flow_keys.WAIT_FOR.known,
    *flow_keys.ARM.known, *flow_keys.EXPERIMENT.known, *flow_keys.VARIANT.known, *flow_keys.SEND.known, *flow_keys.SET.known,
    *flow_keys.REWARD.known,
]  # fmt: skip
CHOICES = [word for kind in (Purpose, Status, OncePer, Which, Clock, Moment) for word in get_args(kind)]
EXAMPLES = [block for block in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL) if block.startswith("flow:")]


@pytest.mark.parametrize("word", sorted({*KEYS, *CHOICES, *TRIGGERS, *AWAITED, *EXITS, *NAMES}))
def test_every_word_is_told(word: str) -> None:
    """A word that the code knows and the guide does not would be found by nobody."""
    assert re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", GUIDE), word


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_right(text: str) -> None:
    """It is read without a mistake."""
    assert isinstance(parse_flow(text, ["a", "b", "c"], "f"), Flow), parse_flow(text, ["a", "b", "c"], "f")


def test_the_shops_own_segments_and_rules_are_right() -> None:
    """What lies beside the flows is read, and each key of the rules is in the guide."""
    assert isinstance(parse_segments((TEMPLATES / "segments.yaml").read_text()), dict)
    assert not isinstance(parse_rules((TEMPLATES / "rules.yaml").read_text()), list)
    for key in (
        "caps",
        "most",
        "per",
        "of",
        "quiet_hours",
        "not_on",
        "calm",
        "while_late",
        "after_refund",
        "while_running",
        "holdout",
    ):
        assert f"`{key}`" in GUIDE


def test_the_example_of_the_testing_kit_holds() -> None:
    """The five lines, run as they are printed."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(code.replace('"templates"', repr(str(TEMPLATES))), {"Scenario": Scenario})
