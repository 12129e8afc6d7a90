"""Flow files on disk: all mistakes of all files at once, each with its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.core.consent_policy import STRICT
from streams.flow_files import FlowFileError, load_consent, load_flows, load_world
from tests.driver.facts import MESSAGES, TEMPLATES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shop's flows with empty messages."""
    for name, messages in MESSAGES.items():
        (tmp_path / name).mkdir()
        shutil.copy(TEMPLATES / name / "flow.yaml", tmp_path / name)
        for message in messages:
            (tmp_path / name / f"{message}.html.j2").touch()
    return tmp_path


def test_the_shop_s_flows_load(folder: Path) -> None:
    """The four flows are live and found by their triggers."""
    world = load_world(folder, day_scale=0.5)
    assert [flow.name for flow in world.flows] == sorted(MESSAGES)
    assert {flow.status for flow in world.flows} == {"live"}
    assert {on: [one.flow.name for one in found] for on, found in world.by_trigger.items()} == {
        "order.placed": ["order-confirmation", "thank-you"],
        "shipment.delivered": ["review"],
        "shipment.shipped": ["shipment-confirmation"],
    }
    assert world.day_scale == 0.5


def test_all_mistakes_at_once(folder: Path) -> None:
    """A missing message, a bad word and a file that is no text are told together, as file:line:column."""
    (folder / "review" / "ask.html.j2").unlink()
    flow = folder / "thank-you" / "flow.yaml"
    flow.write_text(flow.read_text().replace("status: live", "status: lve"))
    (folder / "order-confirmation" / "flow.yaml").write_bytes(b"flow: \xff")
    with pytest.raises(FlowFileError) as caught:
        load_flows(folder)
    assert len(caught.value.errors) == 3
    words = str(caught.value)
    assert (
        f"{folder}/review/flow.yaml:16:29: there is no message 'ask'; known: ask-first-time (or add ask.html.j2)"
        in words
    )
    assert f"{flow}:3:9: unknown status 'lve'; did you mean 'live'?" in words
    assert "is not UTF-8" in words


def test_no_flows(tmp_path: Path) -> None:
    """An empty folder and a missing one are mistakes: a Takk without flows would do nothing and say nothing."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FlowFileError):
            load_world(folder)


def test_the_consent_policy_comes_from_beside_the_flows(folder: Path) -> None:
    """The shop's own file; without one the strictest, so that receipts go on and nobody is mailed by mistake."""
    assert load_world(folder).consent_policy is STRICT
    shutil.copy(TEMPLATES / "consent.yaml", folder)
    assert load_world(folder).consent_policy.line("marketing", "DK").verdict == "soft_opt_in"


def test_mistakes_of_flows_and_of_the_consent_policy_are_told_together(folder: Path) -> None:
    """A worker that does not start says everything at once."""
    flow, consent = folder / "thank-you" / "flow.yaml", folder / "consent.yaml"
    flow.write_text(flow.read_text().replace("status: live", "status: lve"))
    text = (TEMPLATES / "consent.yaml").read_text(encoding="utf-8")
    consent.write_text(text.replace("  US:", "  UK:", 1), encoding="utf-8")
    line = text[: text.index("  US:")].count("\n") + 1
    with pytest.raises(FlowFileError) as caught:
        load_world(folder)
    assert caught.value.errors == [
        f"{consent}:{line}:3: unknown country 'UK'; did you mean 'GB'?",
        f"{flow}:3:9: unknown status 'lve'; did you mean 'live'?",
    ]
    consent.write_bytes(b"order: \xff")
    with pytest.raises(FlowFileError, match=r"consent\.yaml:1:1: the file is not UTF-8 at byte 7"):
        load_consent(folder)
