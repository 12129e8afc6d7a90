"""The examples in README.md work: the producer, the flow and the simulation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from streams.definitions.loader import load_flows
from streams.definitions.problems import FlowFileError
from streams.settings import PROJECT_ROOT
from streams.tools.cli.main import main
from streams.tools.simulation.outcome import with_changes
from streams.wire.codec import open_codec

ROOT = PROJECT_ROOT
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_order_can_be_read() -> None:
    """The producer example, up to its connection, writes a record that Takk can read."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    variables: dict[str, Any] = {}
    before = code.partition("producer = ")[0].replace("schemas/order.avsc", str(ROOT / "schemas" / "order.avsc"))
    exec(before, variables)
    order = open_codec().decode("order", variables["record"].getvalue())
    assert (order["order_id"], order["kind"], order["total_minor"]) == ("1001", "placed", 64_900)


def test_the_flow_loads(tmp_path: Path) -> None:
    """The flow example is valid once its messages exist, and has the properties that the text describes."""
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    folder = tmp_path / "flows" / "asking" / "review"
    folder.mkdir(parents=True)
    (folder / "flow.yaml").write_text(block, encoding="utf-8")
    with pytest.raises(FlowFileError, match=r"ask-first-time"):
        load_flows(tmp_path)
    for message in ("ask-first-time", "ask"):
        (folder / f"{message}.html.j2").touch()
    (flow,) = load_flows(tmp_path)
    assert (flow.name, flow.status, flow.purpose, flow.trigger.on) == ("review", "live", "review", "shipment.delivered")
    assert len(flow.steps) == 2


@pytest.mark.parametrize("status", ["draft", "live", "paused"])
def test_statuses_of_the_example(tmp_path: Path, status: str) -> None:
    """Each status in the comment of the flow example is valid."""
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    assert status in block
    folder = tmp_path / "flows" / "asking" / "review"
    folder.mkdir(parents=True)
    (folder / "flow.yaml").write_text(re.sub(r"status: live", f"status: {status}", block), encoding="utf-8")
    for message in ("ask-first-time", "ask"):
        (folder / f"{message}.html.j2").touch()
    assert [flow.status for flow in load_flows(tmp_path)] == [status]


def test_simulated_flows_exist() -> None:
    """The examples of `takk simulate --flow` in README.md and in the help name existing flows and valid statuses."""
    changes = re.findall(r"--flow ([a-z-]+@\w+)", README + str(main.commands["simulate"].help))
    assert len(changes) == 2
    with_changes(load_flows(ROOT / "templates"), changes[:1])
    with_changes(load_flows(ROOT / "templates"), changes[1:])
