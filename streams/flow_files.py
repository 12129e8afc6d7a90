"""Reads the flows from the templates folder: the one place where the core's rules meet the disk."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from streams.core.flow import Flow
from streams.core.flow_language import parse_flow
from streams.core.world import RATES, Limits, Shop, World

_FLOW = "flow.yaml"
_MESSAGE = ".html.j2"


class FlowFileError(ValueError):
    """Flow files that cannot be used. `errors` has a line `file:line:column: what is wrong; what would be right` for each mistake."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def load_flows(templates_dir: Path | str) -> tuple[Flow, ...]:
    """All flows below `templates_dir`, by name.

    Raises:
        FlowFileError: the folder is not there, holds no flow, or flows have mistakes; all of them are told.
    """
    root = Path(templates_dir)
    if not root.is_dir():
        raise FlowFileError([f"{root}:1:1: there is no such folder; give the folder that holds the flows"])
    flows: list[Flow] = []
    errors: list[str] = []
    for path in sorted(root.glob(f"*/{_FLOW}")):
        messages = [file.name.removesuffix(_MESSAGE) for file in path.parent.glob(f"*{_MESSAGE}")]
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            errors.append(f"{path}:1:1: the file is not UTF-8 at byte {error.start}; save it as UTF-8")
            continue
        except OSError as error:
            errors.append(f"{path}:1:1: the file cannot be read: {error.strerror}; give Takk the right to read it")
            continue
        parsed = parse_flow(text, messages, path.parent.name)
        if isinstance(parsed, Flow):
            flows.append(parsed)
        else:
            errors.extend(f"{path}:{one.line}:{one.column}: {one.problem}; {one.remedy}" for one in parsed)
    if not flows and not errors:
        errors.append(f"{root}:1:1: there is no flow in it; add <flow>/{_FLOW}")
    if errors:
        raise FlowFileError(errors)
    return tuple(flows)


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
    """The world with the flows below `templates_dir`; the other arguments as for `World`.

    Raises:
        FlowFileError: see load_flows.
    """
    return World(
        load_flows(templates_dir),
        shop=shop,
        rates=rates,
        vip_spend=vip_spend,
        limits=limits,
        attribution_days=attribution_days,
        day_scale=day_scale,
    )
