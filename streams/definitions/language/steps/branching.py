"""Readers of steps with branches."""

from __future__ import annotations

from datetime import timedelta

import yaml

from streams.core.rules.consent_policy import is_transactional
from streams.core.rules.flow import Branch, Experiment, Split, Variant, WaitFor
from streams.core.rules.trigger_names import AWAITED, is_about_order
from streams.definitions.language import keys
from streams.definitions.language.steps.reader import StepReader


def read_wait_for(reader: StepReader, node: yaml.Node, path: str) -> WaitFor:
    """Return a wait for an event, with both of its branches."""
    values = reader.mapping(node, *keys.WAIT_FOR)
    event = reader.choice(values["event"], AWAITED, "event") if "event" in values else AWAITED[0]
    if event.startswith("mail.") and not reader.has_sent:
        message = f"no `send` precedes this step, so {event} cannot occur"
        reader.error("flow.E031", values["event"], message, "add a `send` before it")
    if event != "order.placed" and is_about_order(event) and not is_about_order(reader.trigger.on):
        reader.mismatch("flow.E004", values["event"], reader.lacks("order"), "wait for another event")
    up_to = reader.limit(values["up_to"]) if "up_to" in values else timedelta(days=1)
    around = reader.awaited
    reader.awaited = (*around, event)
    where = reader.condition(values["where"], reader.scope) if "where" in values else None
    then = reader.branch(values.get("then"), path, 0)
    reader.awaited = around
    otherwise = reader.branch(values.get("otherwise"), path, 1)
    return WaitFor(path=path, event=event, up_to=up_to, where=where, then=then, otherwise=otherwise)


def read_experiment(reader: StepReader, node: yaml.Node, path: str) -> Experiment:
    """Return an experiment: branches with their percentages."""
    values = reader.mapping(node, *keys.EXPERIMENT)
    if "holdout" in values and is_transactional(reader.purpose):
        reader.no_holdout(values["holdout"])
    before = len(reader.problems)
    variants: list[Variant] = []
    items = reader.items(values["arms"], "branches") if "arms" in values else []
    for index, item in enumerate(items):
        variant = reader.mapping(item, *keys.VARIANT)
        variants.append(
            Variant(
                name=reader.name(variant["name"], "branch") if "name" in variant else "",
                percent=reader.percent(variant["percent"]) if "percent" in variant else 0,
                steps=reader.branch(variant.get("steps"), path, index),
            )
        )
    if "arms" in values and len(reader.problems) == before:
        _check_variants(reader, values["arms"], variants)
    return Experiment(
        path=path,
        name=reader.name(values["name"], "experiment") if "name" in values else "",
        variants=tuple(variants),
        holdout=reader.percent(values["holdout"]) if "holdout" in values else 0,
    )


def _check_variants(reader: StepReader, node: yaml.Node, variants: list[Variant]) -> None:
    """Note branches that are valid one by one but not together."""
    total = sum(variant.percent for variant in variants)
    if len(variants) < 2:
        hint = "add a branch, or write a `holdout` in the `send` instead"
        reader.error("flow.E032", node, "an experiment needs two branches or more", hint)
    elif total != 100:
        reader.error("flow.E033", node, f"the percentages add up to {total}", "make them add up to 100")
    elif len({variant.name for variant in variants}) < len(variants):
        reader.error("flow.E034", node, "two branches have the same name", "rename one of them")


def read_split(reader: StepReader, node: yaml.Node, path: str) -> Split:
    """Return a split: a list of branches, `otherwise` the last."""
    branches: list[Branch] = []
    items = reader.items(node, "branches")
    for index, item in enumerate(items):
        before = len(reader.problems)
        values = reader.mapping(item, *keys.BRANCH)
        if "otherwise" in values:
            if "when" in values or "steps" in values:
                message = "a branch has either `when` and `steps`, or `otherwise`"
                reader.error("flow.E035", item, message, "make it two branches")
            if index + 1 < len(items):
                message = "the branches after `otherwise` are unreachable"
                reader.error("flow.E036", item, message, "move `otherwise` to the end")
            branches.append(Branch(when=None, steps=reader.branch(values["otherwise"], path, index)))
        elif isinstance(item, yaml.MappingNode):
            if len(reader.problems) == before:
                reader.missing(item, [name for name in ("when", "steps") if name not in values])
            when = reader.condition(values["when"], reader.scope) if "when" in values else None
            if when is not None and when.source in [
                branch.when.source for branch in branches if branch.when is not None
            ]:
                message = "unreachable branch: an earlier branch has the same condition"
                reader.error("flow.E037", values["when"], message, "change one of them")
            branches.append(Branch(when=when, steps=reader.branch(values.get("steps"), path, index)))
    if not items and isinstance(node, yaml.SequenceNode):
        reader.error("flow.E038", node, "no branches", "add `- when: …` with `steps`, and `- otherwise: …`")
    return Split(path=path, branches=tuple(branches))
