"""The generator of random flows, on which other properties rely: it uses every word of the language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from streams.core.rules.flow import Flow
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.rules import parse_segments
from streams.definitions.views.json_schema import flow_schema
from tests.harness.flow_texts import MESSAGES
from tests.harness.generated_flows import SEGMENTS, LeastUsed, flow_of, text_of

SCHEMA = flow_schema()
#: Flows after which the generator has used every word. It needs some 1,200.
MOST = 4_000
#: A word of the language: the mapping that it is in, and a key or a value there. Steps within steps count as steps of the flow.
Word = tuple[str, str]


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema, or that to which it refers."""
    return SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def below(place: str, key: str) -> str:
    """The place of a value. The waits between rounds are like other waits."""
    return re.sub(r"^flow\.steps\[\].*steps$", "flow.steps", f"{place}.{key}").replace("repeat.every", "wait")


def words(schema: Mapping[str, Any], place: str = "flow") -> Iterator[Word]:
    """Yield every word of a schema."""
    yield from [(place, value) for value in schema.get("enum", ())]
    for one in schema.get("anyOf", ()):
        yield from words(one, place)
    if "items" in schema:
        yield from words(schema["items"], f"{place}[]")
    for key, value in schema.get("properties", {}).items():
        yield place, key
        inner = below(place, key)
        if inner != "flow.steps":
            yield from words(value, inner)
        elif place == "flow":
            yield from words(resolved(value), inner)


def used(schema: Mapping[str, Any], content: Any, place: str = "flow") -> Iterator[Word]:
    """Yield the words of a schema that a value uses."""
    schema = resolved(schema)
    if isinstance(content, str) and "enum" in schema:
        yield place, content
    for one in schema.get("anyOf", ()):
        yield from used(one, content, place)
    if isinstance(content, list) and "items" in schema:
        for item in content:
            yield from used(schema["items"], item, f"{place}[]")
    if isinstance(content, dict):
        for key in content.keys() & schema.get("properties", {}).keys():
            yield place, key
            yield from used(schema["properties"][key], content[key], below(place, key))


def test_every_word_is_used() -> None:
    """Every key, trigger, event, step and option in the JSON Schema of the language is in some generated flow that is valid."""
    choices, segments = LeastUsed(), parse_segments(SEGMENTS)
    assert isinstance(segments, dict)
    unused = set(words(SCHEMA))
    assert len(unused) > 250
    for _ in range(MOST):
        flow = flow_of(choices, "f")
        new = unused.intersection(used(SCHEMA, flow))
        if new:
            parsed = parse_flow(text_of(flow), MESSAGES, "f", segments)
            assert isinstance(parsed, Flow), parsed
            unused -= new
        if not unused:
            return
    raise AssertionError(f"words that no flow has: {sorted(unused)}")
