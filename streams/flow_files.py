"""Reads the flows from the templates folder: the one place where the core's rules meet the disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TypeVar

from streams.core.flow import Condition, Flow
from streams.core.flow_language import parse_flow
from streams.core.rules import NO_RULES
from streams.core.rules_language import parse_rules, parse_segments
from streams.core.world import RATES, Limits, Shop, World
from streams.core.yaml_reader import FlowError, nearest

_FLOW = "flow.yaml"
_MESSAGE = ".html.j2"
_RULES = "rules.yaml"
_SEGMENTS = "segments.yaml"
T = TypeVar("T")
_NONE: dict[str, Condition] = {}


class FlowFileError(ValueError):
    """Flow files that cannot be used. `errors` has a line `file:line:column: what is wrong; what would be right` for each mistake."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def load_flows(templates_dir: Path | str, segments: Collection[str] | None = None) -> tuple[Flow, ...]:
    """All flows below `templates_dir`, by name. `segments`: the names of the segments, read from there too if None.

    Raises:
        FlowFileError: the folder is not there, holds no flow, or flows have mistakes; all of them are told.
    """
    root = Path(templates_dir)
    if not root.is_dir():
        raise FlowFileError([f"{root}:1:1: there is no such folder; give the folder that holds the flows"])
    errors: list[str] = []
    if segments is None:
        segments = _read(root / _SEGMENTS, parse_segments, _NONE, errors)
    flows: list[Flow] = []
    for path in sorted(root.glob(f"*/{_FLOW}")):
        messages = [file.name.removesuffix(_MESSAGE) for file in path.parent.glob(f"*{_MESSAGE}")]
        read = partial(parse_flow, messages=messages, folder=path.parent.name, segments=segments)
        flow = _read(path, read, None, errors)
        if flow is not None:
            flows.append(flow)
    if not flows and not errors:
        errors.append(f"{root}:1:1: there is no flow in it; add <flow>/{_FLOW}")
    errors += [
        f"{root / flow.name / _FLOW}:1:1: not_with names the flow {other!r}, which there is not; {nearest(other, known)}"
        for known in [[flow.name for flow in flows]]
        for flow in flows
        for other in flow.not_with
        if other not in known
    ]
    if errors:
        raise FlowFileError(errors)
    return tuple(flows)


def _read(path: Path, parse: Callable[[str], T | list[FlowError]], empty: T, errors: list[str]) -> T:
    """What a file holds; `empty` if there is no such file, or mistakes in it, which are added to `errors`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return empty
    except UnicodeDecodeError as error:
        errors.append(f"{path}:1:1: the file is not UTF-8 at byte {error.start}; save it as UTF-8")
        return empty
    except OSError as error:
        errors.append(f"{path}:1:1: the file cannot be read: {error.strerror}; give Takk the right to read it")
        return empty
    parsed = parse(text)
    if isinstance(parsed, list):
        errors.extend(f"{path}:{one.line}:{one.column}: {one.problem}; {one.remedy}" for one in parsed)
        return empty
    return parsed


def load_world(
    templates_dir: Path | str,
    *,
    shop: Shop | None = None,
    rates: Mapping[str, Decimal] = RATES,
    vip_spend: Decimal = Decimal(10_000),
    limits: Limits | None = None,
    attribution_days: int = 3,
    day_scale: Fraction | float = 1.0,
) -> World:
    """The world with the flows, rules and segments below `templates_dir`; the other arguments as for `World`.

    Raises:
        FlowFileError: see load_flows.
    """
    root = Path(templates_dir)
    errors: list[str] = []
    segments = _read(root / _SEGMENTS, parse_segments, _NONE, errors)
    rules = _read(root / _RULES, parse_rules, NO_RULES, errors)
    try:
        flows = load_flows(root, segments)
    except FlowFileError as error:
        errors += error.errors
    if errors:
        raise FlowFileError(errors)
    return World(
        flows,
        rules=rules,
        segments=segments,
        shop=shop,
        rates=rates,
        vip_spend=vip_spend,
        limits=limits,
        attribution_days=attribution_days,
        day_scale=day_scale,
    )
