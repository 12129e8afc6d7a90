"""Kinds of steps at load time: how one kind is read, described, drawn and checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import ClassVar, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import yaml

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Step
from streams.core.rules.sending_rules import SendingRules
from streams.definitions.language.keys import Keys
from streams.definitions.language.schemas import Schema
from streams.definitions.language.steps.reader import KindReader, StepReader
from streams.definitions.problems import Problem

_S = TypeVar("_S", bound=Step)
#: The kinds of boxes that show steps. They decide about color and shape.
Box: TypeAlias = Literal["wait", "split", "send", "effect"]
#: Where an instance waits because of a step: nowhere, at the step itself, or at the one that follows.
WaitsAt: TypeAlias = Literal["nowhere", "step", "next step"]


class Awaited(NamedTuple):
    """The thing that an instance waits for at a step, as a text, and the noun for it."""

    text: str
    noun: str


class StepKind(ABC, Generic[_S]):
    """A kind of step. The methods with a body hold for steps that neither wait, branch nor send; others override them.

    Attributes:
        step: the class of its steps.
        key: its key in flow.yaml.
        mappings: the keys of each mapping in its value.
        box: how its steps are drawn.
    """

    step: type[_S]
    key: ClassVar[str]
    mappings: ClassVar[tuple[Keys, ...]] = ()
    box: ClassVar[Box] = "effect"

    @abstractmethod
    def read(self, reader: StepReader, node: yaml.Node, path: str) -> _S:
        """Return the step that `node`, the value of the key, describes. `path` is the path of the step."""

    @abstractmethod
    def schema(self) -> Schema:
        """Return the JSON Schema of the value of the key."""

    @abstractmethod
    def text(self, step: _S, flow: Flow) -> str:
        """Return what a step does, in plain English."""

    def readers(self) -> Mapping[str, KindReader]:
        """Return the reader of each key of the kind."""
        return {self.key: self.read}

    def labels(self, step: _S) -> tuple[str, ...]:
        """Return when each branch is taken. If customers may take none, there is one more label, for them."""
        return ()

    def branch_nodes(self, node: yaml.Node) -> list[tuple[yaml.Node | None, yaml.Node | None]]:
        """Return the node of each branch in the value of the key, and the node of the branch's steps."""
        return []

    def check(self, step: _S, compiled: CompiledFlow, rules: SendingRules) -> Iterator[Problem]:
        """Yield the problems of a step that is written correctly."""
        yield from ()

    def waits_at(self, step: _S) -> WaitsAt:
        """Return where instances may wait because of a step."""
        return "nowhere"

    def awaited(self, step: _S) -> Awaited | None:
        """Return what must still arrive for an instance that waits at a step, or None if time alone ends its wait."""
        return None

    def output(self, step: _S) -> str:
        """Return what a step sends or gives that no customer should receive twice, or ""."""
        return ""

    def longest(self, step: _S) -> timedelta | None:
        """Return how long an instance may wait before the branches of a step, or None if that has no bound."""
        return timedelta()
