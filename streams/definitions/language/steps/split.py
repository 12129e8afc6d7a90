"""The step `split`."""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from jinja2 import nodes

from streams.core.instances.steps.split import Branch, Split
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow
from streams.core.rules.sending_rules import SendingRules
from streams.definitions.language import schemas
from streams.definitions.language.condition_parts import is_never_true, parts_of
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import StepReader, branches_of
from streams.definitions.problems import Problem, problem_at

#: A branch of a split has either the first two or the last.
BRANCH = Keys(("when", "steps", "otherwise"))


class SplitKind(StepKind[Split]):
    """A step that continues with the first branch whose condition holds."""

    step = Split
    key = "split"
    mappings = (BRANCH,)
    box = "split"

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Split:
        """Return a split: a list of branches, `otherwise` the last."""
        branches: list[Branch] = []
        items = reader.items(node, "branches")
        for index, item in enumerate(items):
            before = len(reader.problems)
            values = reader.mapping(item, *BRANCH)
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

    def schema(self) -> schemas.Schema:
        """Return a list of branches: a condition and steps, or the steps for all other customers."""
        forms = ({"when": schemas.CONDITION, "steps": schemas.STEPS}, {"otherwise": schemas.STEPS})
        branch = {"anyOf": [schemas.mapping(Keys(tuple(form), tuple(form)), form) for form in forms]}
        return {"type": "array", "minItems": 1, "items": branch, **schemas.description(Split)}

    def text(self, step: Split, flow: Flow) -> str:
        """Return the word: the labels of the branches have the conditions."""
        return "split"

    def labels(self, step: Split) -> tuple[str, ...]:
        """Return the conditions. Without `otherwise`, some customers may take no branch."""
        labels = ["otherwise" if branch.when is None else f"if {branch.when.source}" for branch in step.branches]
        return tuple(labels if step.branches and step.branches[-1].when is None else [*labels, "otherwise"])

    def branch_nodes(self, node: yaml.Node) -> list[tuple[yaml.Node | None, yaml.Node | None]]:
        """Return the items of the list."""
        return branches_of(node)

    def check(self, step: Split, compiled: CompiledFlow, rules: SendingRules) -> Iterator[Problem]:
        """Yield the unreachable branches."""
        earlier: list[tuple[int, list[nodes.Expr]]] = []
        for number, branch in enumerate(step.branches):
            path, parts = f"{step.path}.{number}", parts_of(branch.when)
            if is_never_true(branch.when, compiled.flow):
                message = "unreachable branch: its condition is never true"
                yield problem_at(path, "flow.E046", message, "change the condition, or remove the branch")
                continue
            wider = next((other for other, others in earlier if all(part in parts for part in others)), None)
            if wider is not None:
                message = f"unreachable branch: branch {wider} already matches every customer"
                yield problem_at(path, "flow.E047", message, "change the order, or remove one branch")
            earlier.append((number, parts))
