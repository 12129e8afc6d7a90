"""A hash of everything that a templates folder says about flows, so that workers with different files are noticed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from streams.core.rules.flow import Condition
from streams.core.rules.ruleset import Ruleset
from streams.core.values import ids

#: Characters of a hash: enough to tell the few apart that one installation ever runs.
LENGTH = 12


def content_hash(ruleset: Ruleset) -> str:
    """Return a hash of the flows with all versions, the segments, the sending rules and the consent policy, as hexadecimal text.

    It is the same in every process. The order of files, comments and the settings of the process do not count.
    """
    policy = ruleset.consent_policy
    content = (
        ruleset.flows,
        ruleset.segments,
        ruleset.rules,
        policy.is_built_in,
        policy.lines(),
        policy.minimum_ages,
    )
    return ids.digest("flows", _text(content))[:LENGTH]


def _text(value: Any) -> str:
    """Return a text that differs for different values, and is the same in every process."""
    if isinstance(value, Condition):
        return repr(value.source)
    if isinstance(value, Struct):
        fields = [f"{name}={_text(getattr(value, name))}" for name in value.__struct_fields__]
        return f"{type(value).__name__}({','.join(fields)})"
    if isinstance(value, Mapping):
        return f"{{{','.join(sorted(f'{_text(key)}:{_text(item)}' for key, item in value.items()))}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{','.join(sorted(map(_text, value)))}}}"
    if isinstance(value, (tuple, list)):
        return f"[{','.join(map(_text, value))}]"
    return repr(value)
