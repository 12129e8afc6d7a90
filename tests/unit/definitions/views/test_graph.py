"""Flows shown: as text, as a Mermaid flowchart, as a picture. Whatever a flow's file says, it can only be read."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from streams.core.model.flow import Flow, all_steps
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
"""


def flow(text: str = EVERYTHING) -> Flow:
    """The flow in `text`."""
    parsed = parse_flow(text, ["a", "b"], "big")
    assert isinstance(parsed, Flow), parsed
    return parsed


def test_each_parcel_in_words() -> None:
    """A flow for each parcel begins with each, not with the first."""
    text = "flow: big\nversion: 1\nstatus: live\npurpose: order\ntrigger: {on: shipment.shipped, once_per: %s}\n"
    for once_per, words in (("parcel", "shipment.shipped"), ("order", "shipment.shipped of the first parcel")):
        told = as_text(flow(text % once_per + "steps: [{send: {message: a}}]"))
        assert f"begins on {words}, once per {once_per}\n" in told


def test_a_launch_in_words() -> None:
    """What it is, and how long before it."""
    text = "flow: big\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {on: product.launch, before: 1d}\n"
    told = as_text(flow(text + "steps: [{send: {message: a}}]"))
    assert "begins on 1 day before product.launch, once per product\n" in told


TEXT = """\
big v3, draft, marketing
begins on shipment.delivered of the last parcel, once per order, again 36 hours after it last began, where order.total >= 100, 5% held out
ends on order.refunded or order.cancelled
its mails wait while one of these runs: other
├─ 0 wait 2 days, until 10:00 where the customer is, not on sat or sun
├─ 1 split
│  ├─ if customer.orders == 1
│  │  ├─ 1.0.0 send a, priority 60, expires after 5 days
│  │  ├─ 1.0.1 split
│  │  │  └─ if customer.is_vip
│  │  │     └─ 1.0.1.0.0 send b, as service, priority 50, expires after 5 days
│  │  └─ 1.0.2 wait until 1 day before shipment.window_from, 3 days if that is not known
│  ├─ if customer.is_vip
│  │  └─ 1.1.0 emit vip-seen
│  └─ otherwise
│     └─ 1.2.0 experiment subject, 10% held out end here
│        ├─ x 40%
│        │  └─ 1.2.0.0.0 send a, priority 50, expires after 5 days, not before 2026-12-01, 7% held out
│        └─ y 60%
│           ├─ 1.2.0.1.0 reward ten, good for 30 days
│           ├─ 1.2.0.1.1 wait 1 month
│           └─ 1.2.0.1.2 send a, priority 50, expires after 5 days
├─ 2 wait for mail.opened, 1 week at most
│  └─ it comes
│     └─ 2.0.0 set keen to 'yes'
└─ 3 take off the list open
"""


def test_text() -> None:
    """Every kind of step in words, with its path, under the condition that leads to it."""
    assert as_text(flow()) == TEXT


def test_graph() -> None:
    """Each step is a node once; every way leads somewhere, and all of them to the end."""
    graph = graph_of(flow())
    assert [node.path for node in graph.nodes] == ["begin", *[step.path for step in all_steps(flow().steps)], "end"]
    onward = {(edge.source, edge.target): edge.words for edge in graph.edges}
    assert onward["1.0.1", "1.0.2"] == "otherwise"
    assert onward["1", "1.2.0"] == "otherwise"
    assert onward["2", "3"] == "it does not come in time"
    assert {source for source, target in onward if target == "2"} == {"1.0.2", "1.1.0", "1.2.0.0.0", "1.2.0.1.2"}
    assert {source for source, _ in onward} == {node.path for node in graph.nodes} - {"end"}
    assert {target for _, target in onward} == {node.path for node in graph.nodes} - {"begin"}


@pytest.mark.parametrize("shown", [flow(), *shop_flows()], ids=lambda one: one.name)
def test_boxes_do_not_lie_on_each_other(shown: Flow) -> None:
    """No two boxes share a place, edges lead down, and none runs through a box."""
    graph = graph_of(shown)
    nodes = {node.path: node for node in graph.nodes}
    for one in graph.nodes:
        for other in graph.nodes:
            assert one is other or one.row != other.row or abs(one.column - other.column) >= 2
    for edge in graph.edges:
        source, target = nodes[edge.source], nodes[edge.target]
        assert source.row < target.row
        between = [node for node in graph.nodes if source.row < node.row < target.row]
        assert all(abs(node.column - edge.lane) >= 2 for node in between)


LINE = re.compile(
    r"""flowchart\ TD
    | \ {4}s_\w+ ( \(\["[^"]*"\]\) | \{\{"[^"]*"\}\} | \{"[^"]*"\} | \["[^"]*"\] | \[\["[^"]*"\]\] )
    | \ {4}s_\w+\ --> ( \|"[^"]*"\| )? \ s_\w+""",
    re.X,
)
EVIL = """]"); <script>alert(1)</script> & %%{init: {}}%% `x` #quot; \\x1b[31m \\x07"""


def evil() -> Flow:
    """A flow whose texts want to be more than texts."""
    where = "where: \"customer.country == '{evil}'\"".format(evil=EVIL.replace('"', '\\"'))
    return flow(EVERYTHING.replace("where: order.total >= 100", where))


@pytest.mark.parametrize("shown", [flow(), evil(), *shop_flows()], ids=lambda one: one.trigger.on)
def test_mermaid(shown: Flow) -> None:
    """Each line is a node, an edge or the head; what the file says stands in quotes, in codes."""
    lines = as_mermaid(shown).splitlines()
    assert lines[0] == "flowchart TD"
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    for words in re.findall(r'"([^"]*)"', "\n".join(lines)):
        assert re.fullmatch(r"(?:[\w .,:-]|#\d+;)*", words)


@pytest.mark.parametrize("shown", [flow(), evil(), *shop_flows()], ids=lambda one: one.trigger.on)
def test_svg(shown: Flow) -> None:
    """It is XML with a box for each step, without scripts, links or anything from outside, and has colours for the dark."""
    picture = as_svg(shown)
    root = ElementTree.fromstring(picture)
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert kinds == {"svg", "title", "style", "g", "rect", "text", "path"}
    boxes = [element for element in root.iter() if element.tag.endswith("rect")]
    assert len(boxes) == len(list(all_steps(shown.steps))) + 2
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in attributes if name.startswith("on") or "href" in name}
    assert picture.count("http") == 1  # the namespace
    assert "prefers-color-scheme: dark" in picture
    wide, high = int(root.attrib["width"]), int(root.attrib["height"])
    for box in boxes:
        place = {name: int(value) for name, value in box.attrib.items()}
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= wide
        assert place["y"] + place["height"] <= high
        assert max(map(len, _lines("x" * 100))) * 8 <= place["width"]


def test_nothing_reaches_the_terminal() -> None:
    """Escape sequences in a file are shown, not obeyed; a name spreads over no second line."""
    shown = as_text(evil())
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "<script>" in shown
    assert len(shown.splitlines()) == len(TEXT.splitlines())


def test_goals_and_weekdays_in_words() -> None:
    """What ends a flow besides events, and the days that a wait names, as they were written."""
    told = as_text(flow(
        "flow: big\nversion: 1\nstatus: live\npurpose: service\ntrigger: {on: order.placed}\ngoal: customer.is_vip\nexit_on: [order.refunded]\n"
        'steps: [{wait: {on: [tue, thu], at: "09:30"}}, {send: {message: a}}]\n'
    ))  # fmt: skip
    assert "ends on order.refunded or its goal, customer.is_vip\n" in told
    assert "0 wait until 09:30 where the customer is, only on tue or thu\n" in told
