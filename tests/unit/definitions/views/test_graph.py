"""Flows as text, as a Mermaid flowchart and as a picture. Texts of a flow cannot break out of any of them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from streams.core.rules.flow import Flow, all_steps
from streams.definitions.language.flow import parse_flow
from streams.definitions.views.graph import as_mermaid, as_text, graph_of
from streams.definitions.views.svg import _lines, as_svg
from tests.harness.events import shop_flows

EVERYTHING = """\
flow: big
version: 3
status: draft
purpose: marketing
trigger: {on: shipment.delivered, once_per: order, where: order.total >= 100, again_after: 36h}
exit_on: [order.refunded, order.cancelled]
not_with: [other]
holdout: 5
steps:
  - wait: {days: 2, at: "10:00", not_on: [sat, sun]}
  - split:
      - when: customer.orders == 1
        steps:
          - send: {message: a, priority: 60, expires: 5d}
          - split: [{when: customer.is_vip, steps: [{send: {message: b, purpose: service}}]}]
          - wait: {until: shipment.window_from, before: 1d, days: 3}
      - when: customer.is_vip
        steps: [{emit: vip-seen}]
      - otherwise:
          - experiment:
              name: subject
              holdout: 10
              arms:
                - {name: x, percent: 40, steps: [{send: {message: a, not_before: 2026-12-01, holdout: 7}}]}
                - {name: y, percent: 60, steps: [{reward: {name: ten}}, {wait: 1mo}, {send: {message: a}}]}
  - wait_for: {event: mail.opened, up_to: 7d, then: [{set: {name: keen, value: "yes"}}]}
  - remove_from_list: open
  - set: {name: total, from: order.total}
  - add: {name: points, value: 10, expires: 365d}
  - add: {name: points, value: -5}
  - repeat: {times: 2, every: 3d, until: field.points > 9, steps: [{emit: again}]}
"""


def flow(text: str = EVERYTHING) -> Flow:
    """The flow in `text`."""
    parsed = parse_flow(text, ["a", "b"], "big")
    assert isinstance(parsed, Flow), parsed
    return parsed


def test_parcels() -> None:
    """A flow for each parcel starts with each, not with the first."""
    text = "flow: big\nversion: 1\nstatus: live\npurpose: order\ntrigger: {on: shipment.shipped, once_per: %s}\n"
    for once_per, trigger in (("parcel", "shipment.shipped"), ("order", "shipment.shipped of the first parcel")):
        output = as_text(flow(text % once_per + "steps: [{send: {message: a}}]"))
        assert f"starts on {trigger}, once per {once_per}\n" in output


def test_launch() -> None:
    """The text has the launch, and how long before it the flow starts."""
    text = "flow: big\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {on: product.launch, before: 1d}\n"
    output = as_text(flow(text + "steps: [{send: {message: a}}]"))
    assert "starts on 1 day before product.launch, once per product\n" in output


TEXT = """\
big v3, draft, marketing
starts on shipment.delivered of the last parcel, once per order, again after 36 hours, where order.total >= 100, 5% held out
ends on order.refunded or order.cancelled
emails wait while one of these may still send: other
├─ 0 wait 2 days, until 10:00 in the customer's time zone, not on sat or sun
├─ 1 split
│  ├─ if customer.orders == 1
│  │  ├─ 1.0.0 send a, priority 60, expires after 5 days
│  │  ├─ 1.0.1 split
│  │  │  └─ if customer.is_vip
│  │  │     └─ 1.0.1.0.0 send b, as service, priority 50, expires after 5 days
│  │  └─ 1.0.2 wait until 1 day before shipment.window_from, 3 days if unknown
│  ├─ if customer.is_vip
│  │  └─ 1.1.0 emit vip-seen
│  └─ otherwise
│     └─ 1.2.0 experiment subject, 10% held out
│        ├─ x 40%
│        │  └─ 1.2.0.0.0 send a, priority 50, expires after 5 days, not before 2026-12-01, 7% held out
│        └─ y 60%
│           ├─ 1.2.0.1.0 reward ten, valid for 30 days
│           ├─ 1.2.0.1.1 wait 1 month
│           └─ 1.2.0.1.2 send a, priority 50, expires after 5 days
├─ 2 wait for mail.opened, 1 week at most
│  └─ in time
│     └─ 2.0.0 set keen to 'yes'
├─ 3 remove from list open
├─ 4 set total to order.total
├─ 5 add 10 to points, valid for 365 days
├─ 6 subtract 5 from points
└─ 7 repeat up to 2 times, until field.points > 9
   └─ 2 times
      ├─ 7.0.0 emit again
      ├─ 7.0.1 wait 3 days
      ├─ 7.0.2 again, unless field.points > 9
      └─ 7.0.3 emit again
"""


def test_text() -> None:
    """The text has every kind of step, with its path, below the condition of its branch."""
    assert as_text(flow()) == TEXT


def test_graph() -> None:
    """Each step is one node, and every branch leads to the end."""
    graph = graph_of(flow())
    assert [node.path for node in graph.nodes] == ["begin", *[step.path for step in all_steps(flow().steps)], "end"]
    onward = {(edge.source, edge.target): edge.label for edge in graph.edges}
    assert onward["1.0.1", "1.0.2"] == "otherwise"
    assert onward["1", "1.2.0"] == "otherwise"
    assert onward["2", "3"] == "not in time"
    assert {source for source, target in onward if target == "2"} == {"1.0.2", "1.1.0", "1.2.0.0.0", "1.2.0.1.2"}
    assert {source for source, _ in onward} == {node.path for node in graph.nodes} - {"end"}
    assert {target for _, target in onward} == {node.path for node in graph.nodes} - {"begin"}


@pytest.mark.parametrize("drawn", [flow(), *shop_flows()], ids=lambda flow: flow.name)
def test_boxes_do_not_overlap(drawn: Flow) -> None:
    """No two boxes overlap, edges lead down, and no edge runs through a box."""
    graph = graph_of(drawn)
    nodes = {node.path: node for node in graph.nodes}
    for node in graph.nodes:
        for other in graph.nodes:
            assert node is other or node.row != other.row or abs(node.column - other.column) >= 2
    for edge in graph.edges:
        source, target = nodes[edge.source], nodes[edge.target]
        assert source.row < target.row
        between = [node for node in graph.nodes if source.row < node.row < target.row]
        assert all(abs(node.column - edge.column) >= 2 for node in between)


LINE = re.compile(
    r"""flowchart\ TD
    | \ {4}s_\w+ ( \(\["[^"]*"\]\) | \{\{"[^"]*"\}\} | \{"[^"]*"\} | \["[^"]*"\] | \[\["[^"]*"\]\] )
    | \ {4}s_\w+\ --> ( \|"[^"]*"\| )? \ s_\w+""",
    re.X,
)
EVIL = """]"); <script>alert(1)</script> & %%{init: {}}%% `x` #quot; \\x1b[31m \\x07"""


def evil() -> Flow:
    """A flow with texts that contain Mermaid, HTML and escape sequences."""
    where = "where: \"customer.country == '{evil}'\"".format(evil=EVIL.replace('"', '\\"'))
    return flow(EVERYTHING.replace("where: order.total >= 100", where))


@pytest.mark.parametrize("drawn", [flow(), evil(), *shop_flows()], ids=lambda flow: flow.trigger.on)
def test_mermaid(drawn: Flow) -> None:
    """Each line is a node, an edge or the head. Labels are quoted and escaped."""
    lines = as_mermaid(drawn).splitlines()
    assert lines[0] == "flowchart TD"
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    for label in re.findall(r'"([^"]*)"', "\n".join(lines)):
        assert re.fullmatch(r"(?:[\w .,:-]|#\d+;)*", label)


@pytest.mark.parametrize("drawn", [flow(), evil(), *shop_flows()], ids=lambda flow: flow.trigger.on)
def test_svg(drawn: Flow) -> None:
    """The picture is XML with a box for each step, without scripts, links or external resources, and has dark colors."""
    picture = as_svg(drawn)
    root = ElementTree.fromstring(picture)
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert kinds == {"svg", "title", "style", "g", "rect", "text", "path"}
    boxes = [element for element in root.iter() if element.tag.endswith("rect")]
    assert len(boxes) == len(list(all_steps(drawn.steps))) + 2
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in attributes if name.startswith("on") or "href" in name}
    assert picture.count("http") == 1  # the namespace
    assert "prefers-color-scheme: dark" in picture
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    for box in boxes:
        values = {name: int(value) for name, value in box.attrib.items()}
        assert values["x"] >= 0
        assert values["x"] + values["width"] <= width
        assert values["y"] + values["height"] <= height
        assert max(map(len, _lines("x" * 100))) * 8 <= values["width"]


def test_no_escape_sequences() -> None:
    """Escape sequences in a file are replaced, and a text stays on one line."""
    output = as_text(evil())
    assert "\x1b" not in output
    assert "\x07" not in output
    assert "<script>" in output
    assert len(output.splitlines()) == len(TEXT.splitlines())


def test_goals_and_weekdays() -> None:
    """The text has the goal, and the weekdays of a wait as written."""
    output = as_text(flow(
        "flow: big\nversion: 1\nstatus: live\npurpose: service\ntrigger: {on: order.placed}\ngoal: customer.is_vip\nexit_on: [order.refunded]\n"
        'steps: [{wait: {on: [tue, thu], at: "09:30"}}, {send: {message: a}}]\n'
    ))  # fmt: skip
    assert "ends on order.refunded or goal customer.is_vip\n" in output
    assert "0 wait until 09:30 in the customer's time zone, only on tue or thu\n" in output
