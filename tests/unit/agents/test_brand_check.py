"""Emails that name no company: known from the brand, and from the address of the links whether customers can get them."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.agents.brand_check import placeholder_problem, reaches_customers
from streams.settings import PROJECT_ROOT, load_settings


@pytest.mark.parametrize(
    ("address", "reaches"),
    [
        ("http://localhost:8080", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("https://links.tea.dk", True),
        ("https://mail.shop.example", True),
    ],
)
def test_reaches_customers(address: str, reaches: bool) -> None:
    """Links to this machine are those of a trial; customers can follow all others."""
    assert reaches_customers(load_settings(mail_base_url=address)) is reaches


def test_placeholders(tmp_path: Path) -> None:
    """The brand that Takk comes with has them; a folder without a brand, or with a company of its own, has not."""
    assert "brand.W005" in placeholder_problem(PROJECT_ROOT / "templates")
    assert placeholder_problem(tmp_path) == ""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "brand.yaml").write_text("name: Tea\nlegal: [Tea ApS, Skovvej 12]\n")
    assert placeholder_problem(tmp_path) == ""
