"""Flow files on disk: all mistakes of all files at once, each with its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.flow_files import FlowFileError, load_flows, load_world
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
