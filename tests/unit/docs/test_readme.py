"""README.md against the program: its record, its flow and its simulation work as they are printed."""

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
    """The example of a producer, up to its connection, writes a record that Takk reads."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    written: dict[str, Any] = {}
    before = code.partition("producer = ")[0].replace("schemas/order.avsc", str(ROOT / "schemas" / "order.avsc"))
    exec(before, written)
    order = open_codec().decode("order", written["record"].getvalue())
    assert (order["order_id"], order["kind"], order["total_minor"]) == ("1001", "placed", 64_900)


def test_the_flow_loads(tmp_path: Path) -> None:
    """The example of a flow is one: the loader takes it, given its messages, and reads from it what the text says."""
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


@pytest.mark.parametrize("word", ["draft", "live", "paused"])
def test_statuses_of_the_example(tmp_path: Path, word: str) -> None:
    """Each status in the example's comment is one."""
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    assert word in block
    folder = tmp_path / "flows" / "asking" / "review"
    folder.mkdir(parents=True)
    (folder / "flow.yaml").write_text(re.sub(r"status: live", f"status: {word}", block), encoding="utf-8")
    for message in ("ask-first-time", "ask"):
        (folder / f"{message}.html.j2").touch()
    assert [flow.status for flow in load_flows(tmp_path)] == [word]


def test_the_flows_that_are_tried_can_be() -> None:
    """`takk simulate --flow`, here and in its help, names flows of the repository, in a state that they can be put into."""
    shown = re.findall(r"--flow ([a-z-]+@\w+)", README + str(main.commands["simulate"].help))
    assert len(shown) == 2
    with_changes(load_flows(ROOT / "templates"), shown[:1])
    with_changes(load_flows(ROOT / "templates"), shown[1:])
