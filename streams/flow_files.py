"""Reads the flows and the consent policy from the templates folder: the one place where the core's rules meet the disk."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from streams.core.consent_language import parse_policy
from streams.core.consent_policy import STRICT, ConsentPolicy
from streams.core.flow import Flow
from streams.core.flow_language import FlowError, parse_flow
from streams.core.world import RATES, Limits, Shop, World

_FLOW = "flow.yaml"
_CONSENT = "consent.yaml"
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
            parsed = parse_flow(_text(path), messages, path.parent.name)
        except FlowFileError as error:
            errors.extend(error.errors)
            continue
        if isinstance(parsed, Flow):
            flows.append(parsed)
        else:
            errors.extend(_told(path, parsed))
    if not flows and not errors:
        errors.append(f"{root}:1:1: there is no flow in it; add <flow>/{_FLOW}")
    if errors:
        raise FlowFileError(errors)
    return tuple(flows)


def load_consent(templates_dir: Path | str) -> ConsentPolicy:
    """The shop's consent policy, or the strictest (`is_built_in`) where there is no file: receipts go on, and nobody is mailed by mistake.

    Raises:
        FlowFileError: the file has mistakes; all of them are told.
    """
    path = Path(templates_dir) / _CONSENT
    if not path.exists():
        return STRICT
    parsed = parse_policy(_text(path))
    if isinstance(parsed, ConsentPolicy):
        return parsed
    raise FlowFileError(_told(path, parsed))


def load_rules(templates_dir: Path | str) -> tuple[tuple[Flow, ...], ConsentPolicy]:
    """Flows and consent policy.

    Raises:
        FlowFileError: as `load_flows` and `load_consent`; the mistakes of both are told.
    """
    errors: list[str] = []
    flows: tuple[Flow, ...] = ()
    policy = STRICT
    try:
        policy = load_consent(templates_dir)
    except FlowFileError as error:
        errors += error.errors
    try:
        flows = load_flows(templates_dir)
    except FlowFileError as error:
        errors += error.errors
    if errors:
        raise FlowFileError(errors)
    return flows, policy


def _text(path: Path) -> str:
    """What the file says. Raises FlowFileError: it is no text, or may not be read."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        words = f"the file is not UTF-8 at byte {error.start}; save it as UTF-8"
        raise FlowFileError([f"{path}:1:1: {words}"]) from error
    except OSError as error:
        words = f"the file cannot be read: {error.strerror}; give Takk the right to read it"
        raise FlowFileError([f"{path}:1:1: {words}"]) from error


def _told(path: Path, mistakes: list[FlowError]) -> list[str]:
    return [f"{path}:{one.line}:{one.column}: {one.problem}; {one.remedy}" for one in mistakes]


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
    """The world with the flows and the consent policy below `templates_dir`; the other arguments as for `World`.

    Raises:
        FlowFileError: see load_rules.
    """
    flows, policy = load_rules(templates_dir)
    return World(
        flows,
        consent_policy=policy,
        shop=shop,
        rates=rates,
        vip_spend=vip_spend,
        limits=limits,
        attribution_days=attribution_days,
        day_scale=day_scale,
    )
