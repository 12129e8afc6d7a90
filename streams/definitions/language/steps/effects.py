"""Readers of steps that neither wait, branch nor send."""

from __future__ import annotations

from datetime import timedelta

import yaml

from streams.core.rules.flow import ChangeList, Emit, Reward, SetField
from streams.core.values.text import FIELD_NAME
from streams.definitions.language import keys
from streams.definitions.language.steps.reader import StepReader


def read_add_to_list(reader: StepReader, node: yaml.Node, path: str) -> ChangeList:
    """Return a step that adds the customer to a list."""
    return ChangeList(path=path, name=reader.name(node, "list"), is_member=True)


def read_remove_from_list(reader: StepReader, node: yaml.Node, path: str) -> ChangeList:
    """Return a step that removes the customer from a list."""
    return ChangeList(path=path, name=reader.name(node, "list"), is_member=False)


def read_emit(reader: StepReader, node: yaml.Node, path: str) -> Emit:
    """Return a step that publishes a signal."""
    return Emit(path=path, kind=reader.name(node, "signal"))


def read_set(reader: StepReader, node: yaml.Node, path: str) -> SetField:
    """Return a step that sets a field of the customer."""
    values = reader.mapping(node, *keys.SET)
    name = reader.text(values["name"]) if "name" in values else ""
    if "name" in values and not FIELD_NAME.match(name):
        hint = "use lowercase letters, digits and _, starting with a letter"
        reader.error("yaml.E017", values["name"], f"invalid field name {name!r}", hint)
    value = reader.text(values["value"]) if "value" in values else ""
    if len(value) > keys.LONGEST_VALUE:
        hint = f"use {keys.LONGEST_VALUE} characters at most"
        reader.error("flow.E022", values["value"], f"the value is {len(value)} characters long", hint)
    return SetField(path=path, name=name, value=value)


def read_reward(reader: StepReader, node: yaml.Node, path: str) -> Reward:
    """Return a reward: a signed code, or a code from a pool."""
    values = reader.mapping(node, *keys.REWARD)
    if "within" in values and "pool" not in values:
        message = "`within` needs a pool: a signed code is never waited for"
        reader.error("flow.E023", values["within"], message, "add `pool`, or remove `within`")
    return Reward(
        path=path,
        name=reader.name(values["name"], "reward") if "name" in values else "",
        expires=reader.duration(values["expires"]) if "expires" in values else timedelta(days=30),
        pool=reader.name(values["pool"], "pool") if "pool" in values else "",
        within=reader.limit(values["within"]) if "within" in values else timedelta(days=1),
    )
