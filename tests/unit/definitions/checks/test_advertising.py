"""Service emails that name a percentage: a warning, at the line that has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.definitions.checks.advertising import check_advertising
from streams.definitions.loader import read_templates
from tests.harness.events import TEMPLATES

FOLDER = "flows/transactional/shipment-confirmation"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the shop's templates whose shipment emails are service emails."""
    root = shutil.copytree(TEMPLATES, tmp_path / "templates")
    flow = root / FOLDER / "flow.yaml"
    flow.write_text(flow.read_text(encoding="utf-8").replace("purpose: order ", "purpose: service "), encoding="utf-8")
    return root


def warnings(root: Path) -> list[str]:
    """The position and the id of each warning."""
    templates = read_templates(root)
    assert not templates.errors
    found = check_advertising(root, templates.flows)
    return [
        f"{at.file.removeprefix(f'{root}/')}:{at.line}:{at.column} {each.id} {each.level}"
        for each in found
        for at in (each.location,)
    ]


def add(root: Path, name: str, old: str, new: str) -> None:
    """Replace a text in a file, once."""
    text = (root / name).read_text(encoding="utf-8")
    assert old in text
    (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_service_email_without_an_offer(root: Path) -> None:
    """Styles, links and amounts of data are not offers."""
    assert warnings(root) == []


@pytest.mark.parametrize("offer", ["20 % off", "-20%", "20 procent rabat", "20\N{FULLWIDTH PERCENT SIGN}"])
def test_an_offer_in_a_text(root: Path, offer: str) -> None:
    """The warning is at the text of the language that has it."""
    add(root, f"{FOLDER}/copy/da.yaml", 'shipped.subject: "', f'shipped.subject: "{offer}. ')
    lines = (root / FOLDER / "copy/da.yaml").read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(lines, 1) if offer in line)
    (found,) = warnings(root)
    assert found.startswith(f"{FOLDER}/copy/da.yaml:{number}:")
    assert found.endswith("message.W001 warning")


def test_an_offer_in_a_template(root: Path) -> None:
    """The warning is at the line of the template, once for all languages."""
    add(
        root, f"{FOLDER}/shipped.html.j2", "{% block content %}\n", "{% block content %}\n<p>Save 15 % next time!</p>\n"
    )
    assert warnings(root) == [f"{FOLDER}/shipped.html.j2:3:10 message.W001 warning"]


def test_an_email_about_an_order_may_name_a_percentage(root: Path) -> None:
    """Receipts have tax rates."""
    add(root, f"{FOLDER}/flow.yaml", "purpose: service ", "purpose: order ")
    add(root, f"{FOLDER}/copy/da.yaml", 'shipped.subject: "', 'shipped.subject: "20 % moms. ')
    assert warnings(root) == []
