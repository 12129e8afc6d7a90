"""The kinds of steps, in the order in which messages and the documentation list them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from streams.core.rules.flow import Step
from streams.definitions.language.steps.add import AddKind
from streams.definitions.language.steps.change_list import ChangeListKind
from streams.definitions.language.steps.emit import EmitKind
from streams.definitions.language.steps.experiment import ExperimentKind
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import KindReader
from streams.definitions.language.steps.repeat import RepeatKind, RoundEndKind
from streams.definitions.language.steps.reward import RewardKind
from streams.definitions.language.steps.send import SendKind
from streams.definitions.language.steps.set_field import SetFieldKind
from streams.definitions.language.steps.split import SplitKind
from streams.definitions.language.steps.wait import WaitKind
from streams.definitions.language.steps.wait_for import WaitForKind

KINDS: tuple[StepKind[Any], ...] = (
    WaitKind(),
    WaitForKind(),
    SplitKind(),
    ExperimentKind(),
    RepeatKind(),
    RoundEndKind(),
    SendKind(),
    SetFieldKind(),
    AddKind(),
    ChangeListKind(),
    RewardKind(),
    EmitKind(),
)
#: By the key of the step in flow.yaml.
BY_KEY: Mapping[str, StepKind[Any]] = MappingProxyType({key: kind for kind in KINDS for key in kind.readers()})
READERS: Mapping[str, KindReader] = MappingProxyType({key: kind.readers()[key] for key, kind in BY_KEY.items()})
_BY_CLASS: Mapping[type[Step], StepKind[Any]] = MappingProxyType({kind.step: kind for kind in KINDS})


def kind_of(step: Step) -> StepKind[Any]:
    """Return the kind of a step."""
    return _BY_CLASS[type(step)]
