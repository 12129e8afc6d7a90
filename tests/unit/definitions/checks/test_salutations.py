"""Which greetings and closings the check of messages renders again."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import Environment

from streams.definitions.checks.salutations import Salutations
from streams.definitions.checks.used_names import UsedNames

ANNA, BO = {"customer": {"first_name": "Anna"}}, {"customer": {"first_name": "Bo"}}


@pytest.mark.parametrize(
    ("greeting", "is_new_for_anna", "is_new_for_bo"),
    [
        ("Hej", False, False),
        ("Hej {{ customer.first_name }}", False, True),
        ("{{ t['hej'] }}", True, True),
        ("Hej {{ customer.first_name", True, True),
    ],
)
def test_words_are_rendered_again(greeting: str, is_new_for_anna: bool, is_new_for_bo: bool, tmp_path: Path) -> None:
    """Words are rendered again where their names have other values, where they use other texts, and where they cannot be parsed."""
    salutations = Salutations(UsedNames(Environment(autoescape=True), tmp_path))
    texts = {"greeting.plain": greeting, "ask.subject": "How was it?"}
    assert salutations.is_new("da", texts, ANNA)
    assert salutations.is_new("da", texts | {"ask.subject": "Another"}, ANNA) == is_new_for_anna
    assert salutations.is_new("da", texts, BO) == is_new_for_bo
    assert salutations.is_new("sv", texts, ANNA)
    assert salutations.is_new("da", texts | {"closing.plain": "Hilsen"}, ANNA)
