"""The kinds of steps, each with its reader."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from streams.definitions.language.steps.branching import read_experiment, read_split, read_wait_for
from streams.definitions.language.steps.effects import (
    read_add_to_list,
    read_emit,
    read_remove_from_list,
    read_reward,
    read_set,
)
from streams.definitions.language.steps.reader import KindReader
from streams.definitions.language.steps.sends import read_send
from streams.definitions.language.steps.waits import read_wait

#: By the key of the step; `keys.STEP` has the same keys.
KINDS: Mapping[str, KindReader] = MappingProxyType(
    {
        "wait": read_wait,
        "wait_for": read_wait_for,
        "split": read_split,
        "experiment": read_experiment,
        "send": read_send,
        "set": read_set,
        "add_to_list": read_add_to_list,
        "remove_from_list": read_remove_from_list,
        "reward": read_reward,
        "emit": read_emit,
    }
)
