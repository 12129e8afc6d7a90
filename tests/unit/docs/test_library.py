"""The list of what the library does names flows and messages that exist, and every flow except those about requests of customers."""

from __future__ import annotations

import re

from tests.harness.commands import TEMPLATES

#: Flows about requests and data of customers. A programme after a purchase does not need them.
OTHERS = {"address-changed", "confirm-request"}


def test_flows_and_messages_exist() -> None:
    """A message `<flow>/<message>` of the list exists, and each flow of the library is in the list."""
    rows = (TEMPLATES / "LIBRARY.md").read_text(encoding="utf-8")
    flows = {path.parent.name: path.parent for path in TEMPLATES.glob("flows/*/*/flow.yaml")}
    named = set(re.findall(r"`([a-z-]+)(?:/[a-z-]+)?`", rows)) & set(flows)
    assert named == set(flows) - OTHERS
    messages = re.findall(r"`([a-z-]+)/([a-z-]+)`", rows)
    assert messages
    for flow, message in messages:
        assert (flows[flow] / f"{message}.html.j2").is_file(), f"{flow}/{message}"
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", rows, re.MULTILINE)] == list(range(1, 96))
