"""The generated pages and sections are up to date with the code."""

from __future__ import annotations

import pytest

from streams.settings import FROM_FILE, Settings
from tests.unit.docs.reference import FOLDER, LANGUAGE, PAGES, language_page, settings_page


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    """Each page in the repository equals the generated one; `make docs` writes it."""
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), f"deploy/{name} is stale: run `make docs`"


def test_problems_are_up_to_date() -> None:
    """The section of errors and warnings in LANGUAGE.md equals the generated one; `make docs` writes it."""
    assert LANGUAGE.read_text(encoding="utf-8") == language_page(), "templates/LANGUAGE.md is stale: run `make docs`"


def test_every_setting_is_described() -> None:
    """Each setting has a row with a description, taken from the comment above it."""
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(Settings.model_fields)
    assert [row[0] for row in rows if len(row[-1].removesuffix(" |")) < 10] == []


def test_every_secret_can_be_read_from_a_file() -> None:
    """Each secret setting and the address of the registry can be read from a file; other settings cannot."""
    secrets = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secrets | {"schema_registry_url"} == set(FROM_FILE)
