"""The step `repeat`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

from streams.core.instances.steps.repeat import Repeat, RoundEnd
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Step
from streams.core.rules.sending_rules import SendingRules
from streams.core.values.text import counted
from streams.definitions.language import keys, schemas
from streams.definitions.language.condition_parts import is_never_true
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import KindReader, StepReader, items_of, pairs_of
from streams.definitions.language.steps.wait import WaitKind
from streams.definitions.problems import Problem, problem_at

REPEAT = Keys(("times", "every", "until", "steps"), ("times", "every", "steps"))


class RepeatKind(StepKind[Repeat]):
    """A step that takes its steps several times."""

    step = Repeat
    key = "repeat"
    mappings = (REPEAT,)
    box = "split"

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Repeat:
        """Return a repetition, with its rounds written out. Only the problems of the first round are noted."""
        values = reader.mapping(node, *REPEAT)
        times = reader.number(values["times"], *keys.TIMES) if "times" in values else keys.TIMES[0]
        if reader.rounds is not None:
            reader.error("flow.E071", node, "a repetition within a repetition", "take it out, or raise `times`")
        until = reader.condition(values["until"], reader.scope) if "until" in values else None
        steps: tuple[Step, ...] = ()
        before, outer = len(reader.problems), reader.rounds
        for number in range(times):
            reader.rounds = number + 1, times
            if number and "every" in values:
                steps = (*steps, WaitKind().read(reader, values["every"], f"{path}.0.{len(steps)}"))
            if number and until is not None:
                steps = (*steps, RoundEnd(path=f"{path}.0.{len(steps)}", repeat=path, until=until))
            steps = (*steps, *reader.branch(values.get("steps"), path, 0, len(steps)))
            if outer is not None or (number and len(reader.problems) > before) or "steps" not in values:
                break
            if len(reader.problems) > before and "every" in values:
                WaitKind().read(reader, values["every"], path)
                break
        reader.rounds = outer
        return Repeat(path=path, times=times, until=until, steps=steps)

    def schema(self) -> schemas.Schema:
        """Return a mapping."""
        properties = {
            "times": schemas.number(keys.TIMES),
            "every": WaitKind().schema(),
            "until": schemas.CONDITION,
            "steps": schemas.STEPS,
        }
        return schemas.mapping(REPEAT, properties, Repeat)

    def text(self, step: Repeat, flow: Flow) -> str:
        """Return the number of rounds, and what ends them."""
        until = f", until {step.until.source}" if step.until is not None else ""
        return f"repeat up to {counted(step.times, 'time')}{until}"

    def labels(self, step: Repeat) -> tuple[str, ...]:
        """Return the label of all rounds, and that of customers for whom the repetition is over before it begins."""
        rounds = f"{step.times} times"
        return (rounds, f"if {step.until.source}") if step.until is not None else (rounds,)

    def branch_nodes(self, node: yaml.Node) -> list[tuple[yaml.Node | None, yaml.Node | None]]:
        """Return one branch: the items of each round, with `every` and `until` between two."""
        values = dict(pairs_of(node))
        between = [self._between(values, key) for key in ("every", "until") if key in values]
        items = items_of(values["steps"])
        rounds = list(items)
        for _ in range(int(values["times"].value) - 1):
            rounds += [*between, *items]
        steps = values["steps"]
        return [(steps, yaml.SequenceNode(steps.tag, rounds, steps.start_mark, steps.end_mark))]

    def _between(self, values: Mapping[str, yaml.Node], key: str) -> yaml.Node:
        """Return a step without branches at the place of a value."""
        return yaml.ScalarNode("", "", values[key].start_mark, values[key].end_mark)

    def check(self, step: Repeat, compiled: CompiledFlow, rules: SendingRules) -> Iterator[Problem]:
        """Yield a problem if the condition can never end the repetition."""
        if is_never_true(step.until, compiled.flow):
            yield problem_at(step.path, "flow.E072", "`until` is never true", "change the condition, or remove it")


class RoundEndKind(StepKind[RoundEnd]):
    """The end of a round, which `repeat` writes between two of them."""

    step = RoundEnd
    key = "until"
    box = "split"

    def readers(self) -> Mapping[str, KindReader]:
        """Return nothing: a flow cannot contain it."""
        return {}

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> RoundEnd:
        """Raise TypeError: `repeat` makes it."""
        raise TypeError("the end of a round is not written in a flow")

    def schema(self) -> schemas.Schema:
        """Return the schema of `until`."""
        return schemas.CONDITION

    def text(self, step: RoundEnd, flow: Flow) -> str:
        """Return the condition that ends the repetition."""
        return f"again, unless {step.until.source}"
