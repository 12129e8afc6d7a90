"""Reads the flows from the templates folder: the one place where the core's rules meet the disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from streams.core.model.consent_policy import STRICT, ConsentPolicy
from streams.core.model.flow import Condition, Flow
from streams.core.model.ruleset import RATES, Limits, Ruleset, Shop
from streams.core.model.sending_rules import NO_RULES, SendingRules
from streams.core.values.text import nearest, plain
from streams.definitions.checks.flow import Finding, guard_flow, guard_messages, guard_together
from streams.definitions.checks.layout import ANY_KEPT, FLOW, layout_problems
from streams.definitions.checks.migrations import guard_migrations
from streams.definitions.language.consent import parse_policy
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.positions import places
from streams.definitions.language.rules import parse_rules, parse_segments
from streams.definitions.language.yaml_reader import FlowError
from streams.mail.rendering.template_folders import FLOWS, flow_folders

_KEPT = re.compile(r"flow\.v([1-9]\d{0,5})\.yaml\Z")
_MESSAGE = ".html.j2"
_RULES = "rules.yaml"
_CONSENT = "consent.yaml"
_SEGMENTS = "segments.yaml"
T = TypeVar("T")


class Mistake(Struct, frozen=True):
    """One thing that is wrong: the file, line and column (from 1), what it is, and what would be right."""

    file: str
    line: int
    column: int
    problem: str
    remedy: str

    def __str__(self) -> str:
        return plain(f"{self.file}:{self.line}:{self.column}: {self.problem}; {self.remedy}")


class Templates(Struct, frozen=True, kw_only=True):
    """What lies in a templates folder. `flows` are by name, then version; with `errors` they are not all. `warnings` stop nothing."""

    flows: tuple[Flow, ...]
    segments: Mapping[str, Condition]
    rules: SendingRules
    consent: ConsentPolicy
    errors: tuple[Mistake, ...]
    warnings: tuple[Mistake, ...]

    @property
    def newest(self) -> tuple[Flow, ...]:
        """The newest version of each flow: the one that begins."""
        return tuple({flow.name: flow for flow in self.flows}.values())


class FlowFileError(ValueError):
    """Flow files that cannot be used: all that is wrong with them."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)

    @property
    def errors(self) -> list[str]:
        """A line `file:line:column: what is wrong; what would be right` for each mistake."""
        return [str(mistake) for mistake in self.mistakes]


def read_templates(templates_dir: Path | str) -> Templates:
    """All flows below `templates_dir`/flows with their kept versions, the segments and the rules, and everything that is wrong with them."""
    return _Reading(Path(templates_dir)).all()


def kept_name(version: int | str) -> str:
    """The name of the file in which an older version of a flow is kept beside it."""
    return f"flow.v{version}.yaml"


def load_flows(templates_dir: Path | str) -> tuple[Flow, ...]:
    """All flows below `templates_dir`, by name and version.

    Raises:
        FlowFileError: the folder is not there, holds no flow, or there are mistakes in what lies there; all of them are told.
    """
    return _without_errors(read_templates(templates_dir)).flows


def _without_errors(templates: Templates) -> Templates:
    if templates.errors:
        raise FlowFileError(templates.errors)
    return templates


class _Reading:
    """Reads file by file and gathers what is wrong."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.errors: list[Mistake] = []
        self.warnings: list[Mistake] = []

    def all(self) -> Templates:
        """The whole folder."""
        segments: dict[str, Condition] = self.read(self.root / _SEGMENTS, parse_segments) or {}
        rules = self.read(self.root / _RULES, parse_rules) or NO_RULES
        # Without a file the strictest: receipts go on, and nobody is mailed by mistake.
        policy = self.read(self.root / _CONSENT, parse_policy) or STRICT
        flows: list[Flow] = []
        folders = self.folders()
        for folder in folders.values():
            flows += self.folder(folder, segments, rules, policy)
        if not flows and not self.errors:
            self.wrong(self.root, "there is no flow in it", f"add {FLOWS}/<group>/<flow>/{FLOW}")
        newest = list({flow.name: flow for flow in flows}.values())
        if policy.is_built_in and not all(flow.is_transactional for flow in newest):
            problem = "there is no such file: only what is owed goes, and what a customer agreed to"
            self.warnings.append(
                Mistake(str(self.root / _CONSENT), 1, 1, problem, "copy Takk's own there, and have it reviewed")
            )
        for flow, finding in guard_together(newest):
            self.told(folders[flow.name] / FLOW, [finding])
        names = [*(flow.name for flow in newest), *rules.external_series]
        for flow in newest:
            for other in [name for name in flow.not_with if name not in names]:
                problem = f"not_with names {other!r}: there is no such flow, and no such series in {_RULES} (outside)"
                self.told(folders[flow.name] / FLOW, [Finding("not_with", problem, nearest(other, names))])
        return Templates(
            flows=tuple(flows),
            segments=segments,
            rules=rules,
            consent=policy,
            errors=tuple(self.errors),
            warnings=tuple(self.warnings),
        )

    def folders(self) -> dict[str, Path]:
        """The flows' folders by name; what is in the wrong place is noted."""
        if not self.root.is_dir():
            self.wrong(self.root, "there is no such folder", "give the folder that holds the flows")
            return {}
        try:
            for one in layout_problems(self.root):
                self.wrong(*one)
            return flow_folders(self.root)
        except OSError as error:
            self.wrong(
                Path(error.filename), f"the folder cannot be read: {error.strerror}", "give Takk the right to read it"
            )
            return {}

    def folder(
        self, folder: Path, segments: Mapping[str, Condition], rules: SendingRules, policy: ConsentPolicy
    ) -> list[Flow]:
        """The versions of one flow, the newest last."""
        messages = [file.name.removesuffix(_MESSAGE) for file in folder.glob(f"*{_MESSAGE}")]
        parse = partial(parse_flow, messages=messages, folder=folder.name, segments=segments)
        path = folder / FLOW
        flow = self.read(path, parse)
        if flow is None:
            if not path.exists() and any(folder.glob(ANY_KEPT)):
                self.wrong(path, "older versions are kept here, but not the flow itself", "add it")
            return []
        versions = [*self.kept(folder, flow, parse), flow]
        self.told(path, [*guard_flow(flow, rules, policy), *guard_messages(versions, messages)])
        older = {one.version: one for one in versions}
        for one in versions:
            self.told(path if one is flow else folder / kept_name(one.version), guard_migrations(one, older))
        return versions

    def kept(self, folder: Path, newest: Flow, parse: Callable[[str], Flow | list[FlowError]]) -> list[Flow]:
        """The older versions that are kept for who is still on them."""
        found: dict[int, Flow] = {}
        for path in sorted(folder.glob(ANY_KEPT)):
            named = _KEPT.match(path.name)
            if named is None:
                self.wrong(path, f"an older version is kept as {kept_name('<version>')}", "rename it")
                continue
            flow, version = self.read(path, parse), int(named[1])
            if flow is None:
                continue
            if flow.version != version:
                problem = f"the file's name says version {version}, the file itself {flow.version}"
                self.told(path, [Finding("version", problem, f"version: {version}")])
            elif version >= newest.version:
                problem = f"version {version} is kept as an older one, but {FLOW} has version {newest.version}"
                self.told(path, [Finding("version", problem, f"give {FLOW} a higher version")])
            else:
                found[version] = flow
        return [found[version] for version in sorted(found)]

    def read(self, path: Path, parse: Callable[[str], T | list[FlowError]]) -> T | None:
        """What a file holds; None if there is no such file, or mistakes in it, which are noted."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            self.wrong(path, f"the file is not UTF-8 at byte {error.start}", "save it as UTF-8")
            return None
        except OSError as error:
            self.wrong(path, f"the file cannot be read: {error.strerror}", "give Takk the right to read it")
            return None
        parsed = parse(text)
        if isinstance(parsed, list):
            self.errors += [Mistake(str(path), one.line, one.column, one.problem, one.remedy) for one in parsed]
            return None
        return parsed

    def told(self, path: Path, findings: Iterable[Finding]) -> None:
        """Note what the guards found in the flow at `path`."""
        findings = list(findings)
        where = places(path.read_text(encoding="utf-8")) if findings else {}
        for one in findings:
            mistake = Mistake(str(path), *where.get(one.place, (1, 1)), one.problem, one.remedy)
            (self.errors if one.is_error else self.warnings).append(mistake)

    def wrong(self, path: Path, problem: str, remedy: str) -> None:
        """Note a mistake that is about a file as a whole."""
        self.errors.append(Mistake(str(path), 1, 1, problem, remedy))


def load_ruleset(
    templates_dir: Path | str,
    *,
    shop: Shop | None = None,
    rates: Mapping[str, Decimal] = RATES,
    vip_spend: Decimal = Decimal(10_000),
    limits: Limits | None = None,
    attribution_days: int = 3,
    day_scale: Fraction | float = 1.0,
    reward_key: bytes = b"",
) -> Ruleset:
    """The world with the flows, rules and segments below `templates_dir`; the other arguments as for `Ruleset`.

    Raises:
        FlowFileError: see load_flows.
    """
    templates = _without_errors(read_templates(templates_dir))
    return Ruleset(
        templates.flows,
        consent_policy=templates.consent,
        rules=templates.rules,
        segments=templates.segments,
        shop=shop,
        rates=rates,
        vip_spend=vip_spend,
        limits=limits,
        attribution_days=attribution_days,
        day_scale=day_scale,
        reward_key=reward_key,
    )
