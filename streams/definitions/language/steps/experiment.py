"""The step `experiment`."""

from __future__ import annotations

import yaml

from streams.core.instances.steps.experiment import Experiment, Variant
from streams.core.rules.consent_policy import is_transactional
from streams.core.rules.flow import Flow
from streams.definitions.language import schemas
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import StepReader, branches_of, pairs_of
from streams.definitions.language.yaml_reader import PERCENT

EXPERIMENT = Keys(("name", "holdout", "arms"), ("name", "arms"))
VARIANT = Keys(("name", "percent", "steps"), ("name", "percent", "steps"))


class ExperimentKind(StepKind[Experiment]):
    """A step that divides the customers between branches."""

    step = Experiment
    key = "experiment"
    mappings = (EXPERIMENT, VARIANT)
    box = "split"

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Experiment:
        """Return an experiment: branches with their percentages."""
        values = reader.mapping(node, *EXPERIMENT)
        if "holdout" in values and is_transactional(reader.purpose):
            reader.no_holdout(values["holdout"])
        before = len(reader.problems)
        variants: list[Variant] = []
        items = reader.items(values["arms"], "branches") if "arms" in values else []
        for index, item in enumerate(items):
            variant = reader.mapping(item, *VARIANT)
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

    def schema(self) -> schemas.Schema:
        """Return a mapping."""
        percent = schemas.number(PERCENT)
        variant = schemas.mapping(VARIANT, {"name": schemas.NAMED, "percent": percent, "steps": schemas.STEPS}, Variant)
        arms: schemas.Schema = {"type": "array", "items": variant}
        return schemas.mapping(EXPERIMENT, {"name": schemas.NAMED, "holdout": percent, "arms": arms}, Experiment)

    def text(self, step: Experiment, flow: Flow) -> str:
        """Return the name and the holdout."""
        holdout = f", {step.holdout}% held out" if step.holdout else ""
        return f"experiment {step.name}{holdout}"

    def labels(self, step: Experiment) -> tuple[str, ...]:
        """Return the names and percentages of the variants."""
        return tuple([f"{variant.name} {variant.percent}%" for variant in step.variants])

    def branch_nodes(self, node: yaml.Node) -> list[tuple[yaml.Node | None, yaml.Node | None]]:
        """Return the items of `arms`."""
        return branches_of(dict(pairs_of(node)).get("arms"))


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
