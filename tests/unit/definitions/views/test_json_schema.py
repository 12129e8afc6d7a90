"""The JSON Schema: it accepts every flow that the reader accepts, and rejects what the reader rejects because of its form."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from streams.core.rules.flow import Flow
from streams.definitions.language import keys
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.steps.kinds import BY_KEY, KINDS
from streams.definitions.language.steps.split import BRANCH
from streams.definitions.views.json_schema import flow_schema
from streams.settings import PROJECT_ROOT

ROOT = PROJECT_ROOT
SCHEMA = flow_schema()
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None),
}  # fmt: skip
#: Keywords of JSON Schema that validate nothing.
SILENT = {"$schema", "title", "description", "definitions", "format", "type"}


def problems(schema: dict[str, Any], value: Any, where: str = "flow") -> list[str]:
    """The problems of `value` by a small JSON Schema validator, which knows only the keywords that the schema uses."""
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    is_right = any(isinstance(value, TYPES[kind]) for kind in kinds)
    if kinds and (not is_right or (isinstance(value, bool) and "boolean" not in kinds)):
        return [f"{where}: not one of {kinds}"]
    found: list[str] = []
    for word, rule in schema.items():
        if word in SILENT:
            continue
        if word == "$ref":
            found += problems(SCHEMA["definitions"][rule.rpartition("/")[2]], value, where)
        elif word == "anyOf":
            found += (
                [f"{where}: matches no alternative of {len(rule)}"]
                if all(problems(one, value, where) for one in rule)
                else []
            )
        elif word == "enum":
            found += [] if value in rule else [f"{where}: not one of {rule}"]
        elif isinstance(value, str):
            if word == "pattern":
                found += [] if re.search(rule, value) else [f"{where}: does not match {rule}"]
            else:
                assert word == "maxLength", word
                found += [] if len(value) <= rule else [f"{where}: is too long"]
        elif isinstance(value, dict):
            found += of_mapping(word, rule, schema, value, where)
        elif isinstance(value, list):
            assert word in ("items", "minItems"), word
            if word == "items":
                found += [one for item in value for one in problems(rule, item, f"{where}[]")]
            else:
                found += [] if len(value) >= rule else [f"{where}: is too short"]
        elif isinstance(value, int) and word in ("minimum", "maximum"):
            is_right = value >= rule if word == "minimum" else value <= rule
            found += [] if is_right else [f"{where}: {word} {rule}"]
    return found


def of_mapping(word: str, rule: Any, schema: dict[str, Any], value: dict[str, Any], where: str) -> list[str]:
    """The problems of a mapping by one keyword of JSON Schema."""
    if word == "properties":
        return [one for key in value if key in rule for one in problems(rule[key], value[key], f"{where}.{key}")]
    if word == "additionalProperties":
        more = [key for key in value if key not in schema.get("properties", {})]
        if rule is False:
            return [f"{where}.{key}: unknown" for key in more]
        return [one for key in more for one in problems(rule, value[key], f"{where}.{key}")]
    if word == "propertyNames":
        return [one for key in value for one in problems(rule, key, f"{where}.{key}")]
    if word == "required":
        return [f"{where}: lacks {key}" for key in rule if key not in value]
    assert word in ("minProperties", "maxProperties"), word
    is_right = len(value) >= rule if word == "minProperties" else len(value) <= rule
    return [] if is_right else [f"{where}: {word} {rule}"]


def as_editors_read(text: str) -> Any:
    """The value of `text` in YAML 1.2, as editors read it: 10:00 and dates are texts."""

    def value_of(node: yaml.Node | None) -> Any:
        if isinstance(node, yaml.MappingNode):
            return {str(key.value): value_of(value) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [value_of(item) for item in node.value]
        assert isinstance(node, yaml.ScalarNode)
        word = str(node.value)
        if node.style in ("'", '"') or not re.fullmatch(r"-?\d+(\.\d+)?|true|false|", word):
            return word
        known = {"true": True, "false": False, "": None}
        return known[word] if word in known else float(word) if "." in word else int(word)

    return value_of(yaml.compose(text, yaml.SafeLoader))


def flows() -> list[str]:
    """Every flow of the repository and its pages."""
    files = [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("templates/flows/*/*/flow.yaml"))]
    pages = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "templates/LANGUAGE.md")]
    return [*files, *re.findall(r"```yaml\n(flow: .*?)```", "\n".join(pages), re.S)]


@pytest.mark.parametrize("text", flows(), ids=lambda text: text.splitlines()[0])
def test_own_flows_are_valid(text: str) -> None:
    """The flows of the repository and of its pages are valid."""
    assert problems(SCHEMA, as_editors_read(text)) == []


EVERYTHING = """\
flow: big
version: 3
status: draft
purpose: marketing
trigger: {on: shipment.delivered, once_per: order, which: last, where: true, again_after: 36h}
exit_on: [order.refunded, order.cancelled]
not_with: [other]
holdout: 5
migrations: [{from: 2, steps: {"0": 1, 1.0.0: 2.0.0}}]
steps:
  - wait: {months: 1, days: 2, hours: 3, minutes: 4, at: 10:00, clock: shop, not_on: [sat, sun]}
  - split:
      - {when: customer.orders == 1, steps: [{send: {message: a, priority: 60, expires: 5d, holdout: 7}}]}
      - {when: customer.is_vip, steps: [{emit: vip-seen}]}
      - otherwise:
          - experiment:
              name: subject
              holdout: 10
              arms:
                - {name: x, percent: 40, steps: [{send: {message: a, not_before: 2026-12-01}}]}
                - {name: y, percent: 60, steps: [{reward: {name: ten, expires: 10d}}]}
  - wait: {until: shipment.window_from, before: 1d}
  - set: {name: nps, from: customer.orders}
  - add: {name: points, value: -50}
  - repeat: {times: 3, every: {days: 2, at: "10:00"}, until: customer.is_vip, steps: [{wait: 30min}, {emit: again}]}
  - emit: {name: told, data: {total: order.total, channel: "'sms'"}}
  - reward: {name: five, pool: {by: customer.country, pools: {DK: dk-5}, otherwise: any-5}}
  - wait_for: {event: mail.opened, up_to: 7d, where: "true", then: [{wait: 1mo}], otherwise: [{wait: 12h}]}
  - set: {name: keen, value: "yes"}
  - set: {name: keen, value: 5}
  - set: {name: keen, value: }
  - add_to_list: open
  - remove_from_list: open
"""


def is_read(text: str) -> bool:
    """Whether the reader accepts the flow."""
    return isinstance(parse_flow(text, ["a"], "big"), Flow)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("version: 3", "version: 999999"),
        ("which: last, ", ""),
        ("{months: 1, days: 2, hours: 3, minutes: 4, at: 10:00, clock: shop, not_on: [sat, sun]}", "90m"),
        ("days: 2", "days: 400"),
        ("at: 10:00", 'at: "9:05"'),
        ("holdout: 5", "holdout: 99"),
        ("priority: 60", "priority: 0"),
    ],
)
def test_valid(old: str, new: str) -> None:
    """Every key is valid, and so are values at their limits."""
    text = EVERYTHING.replace(old, new, 1)
    assert is_read(text)
    assert problems(SCHEMA, as_editors_read(text)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 3\n", ""),
        ("version: 3", "version: 0"),
        ("version: 3", "version: three"),
        ("status: draft", "status: drft"),
        ("purpose: marketing", "purpose: ads"),
        ("flow: big", "flow: Big"),
        ("flow: big", "flow: big\ncolour: red"),
        ("shipment.delivered", "shipment.deliverd"),
        ("once_per: order", "once_per: basket"),
        ("which: last", "which: middle"),
        ("36h", "36 hours"),
        ("[order.refunded, order.cancelled]", "order.refunded"),
        ("order.cancelled", "order.canceled"),
        ("not_with: [other]", "not_with: [Other]"),
        ("holdout: 5", "holdout: 100"),
        ("from: 2, ", ""),
        ('{"0": 1, 1.0.0: 2.0.0}', "{}"),
        ("1.0.0: 2.0.0", "first: 2.0.0"),
        ("1.0.0: 2.0.0", "1.0.0: second"),
        ("months: 1", "months: 14"),
        ("days: 2", "days: 401"),
        ("hours: 3", "hours: 10001"),
        ("minutes: 4", "minutes: 100001"),
        ("at: 10:00", "at: 25:00"),
        ("clock: shop", "clock: wall"),
        ("[sat, sun]", "[saturday]"),
        ("{until: shipment.window_from, before: 1d}", "{clock: shop}"),
        ("until: shipment.window_from", "until: shipment.window"),
        ("{wait: 12h}", "{wait: 12 h}"),
        ("{wait: 12h}", "{wait: 12h, emit: seen}"),
        ("{wait: 12h}", "{sleep: 12h}"),
        ("otherwise: [{wait: 12h}]", "otherwise: []"),
        ("event: mail.opened", "event: mail.read"),
        ("up_to: 7d, ", ""),
        ("{when: customer.is_vip, steps: [{emit: vip-seen}]}", "{when: customer.is_vip}"),
        ("{when: customer.is_vip, steps: [{emit: vip-seen}]}", "{when: customer.is_vip, stps: [{emit: vip-seen}]}"),
        ("message: a, priority", "mesage: a, priority"),
        ("priority: 60", "priority: 101"),
        ("name: subject", "name: The Subject"),
        ("percent: 40", "percent: 0"),
        ("name: ten, ", ""),
        ("name: keen", "name: Keen"),
        ('value: "yes"', f"value: {'x' * 201}"),
        ("add_to_list: open", "add_to_list: [open]"),
        ("emit: vip-seen", "emit: {kind: seen}"),
        ("from: customer.orders", "from: customer.segments"),
        ("name: nps, from: customer.orders", "name: nps"),
        ("value: -50", "value: 0"),
        ("value: -50", "value: 1.5"),
        ("times: 3", "times: 1"),
        ("times: 3, ", ""),
    ],
)  # fmt: skip
def test_invalid(old: str, new: str) -> None:
    """The schema rejects what the reader rejects because of its form."""
    assert old in EVERYTHING
    text = EVERYTHING.replace(old, new, 1)
    assert not is_read(text)
    assert problems(SCHEMA, as_editors_read(text)) != []


def test_every_key_is_in_the_schema() -> None:
    """Each list of keys of the reader is a mapping of the schema. A branch of a split is two."""

    def mappings(schema: Any) -> list[tuple[str, ...]]:
        if isinstance(schema, list):
            return [one for item in schema for one in mappings(item)]
        if not isinstance(schema, dict):
            return []
        own = [tuple(schema["properties"])] if isinstance(schema.get("properties"), dict) else []
        return own + [one for inner in schema.values() for one in mappings(inner)]

    in_schema = set(mappings(SCHEMA))
    known = {value.known for value in vars(keys).values() if isinstance(value, keys.Keys)}
    known |= {tuple(BY_KEY)} | {mapping.known for kind in KINDS for mapping in kind.mappings}
    assert in_schema == (known - {BRANCH.known}) | {("when", "steps"), ("otherwise",)}
