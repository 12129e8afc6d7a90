"""Loads a templates folder: its flows, segments, sending rules and consent policy, with every problem in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from streams.core.rules.consent_policy import STRICT, ConsentPolicy
from streams.core.rules.flow import Condition, Flow
from streams.core.rules.ruleset import RATES, Limits, Ruleset, Shop
from streams.core.rules.sending_rules import NO_RULES, TRANSACTIONAL_PER_ADDRESS, SendingRules
from streams.definitions.checks.flow import check_flow, check_flows_together, check_not_with, check_unused_messages
from streams.definitions.checks.layout import ANY_KEPT, FLOW, layout_problems, version_file
from streams.definitions.checks.migrations import check_migrations
from streams.definitions.checks.shop_brand import BRAND, check_contrast, check_example, check_logo
from streams.definitions.language.brand import parse_brand, parse_email_brand
from streams.definitions.language.consent import parse_policy
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.positions import brand_positions, positions_in
from streams.definitions.language.rules import parse_rules, parse_segments, segment_names
from streams.definitions.layers import SEGMENTS, Layers, open_layers
from streams.definitions.problems import FlowFileError, Problem, not_utf8, problem_at, unreadable
from streams.mail.rendering.brand import Brand
from streams.mail.rendering.email_brand import EmailBrand, email_brand
from streams.mail.rendering.template_folders import FLOWS, flow_folders, message_names

_KEPT = re.compile(r"flow\.v([1-9]\d{0,5})\.yaml\Z")
_RULES = "rules.yaml"
_CONSENT = "consent.yaml"
T = TypeVar("T")


class Templates(Struct, frozen=True, kw_only=True):
    """The content of a templates folder. `flows` are sorted by name, then version; with `errors` some are missing."""

    flows: tuple[Flow, ...]
    segments: Mapping[str, Condition]
    rules: SendingRules
    consent: ConsentPolicy
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def newest(self) -> tuple[Flow, ...]:
        """The newest version of each flow: the one that starts for customers."""
        return tuple({flow.name: flow for flow in self.flows}.values())


def read_templates(templates_dir: Path | str | Layers) -> Templates:
    """Return the content of a templates folder with all problems in it. Older versions of flows are included."""
    if not isinstance(templates_dir, Layers):
        with open_layers(Path(templates_dir)) as layers:
            return read_templates(layers)
    layers = templates_dir
    loader = _Loader(layers.path, layers.off)
    loader.errors += layers.problems
    templates = loader.load()
    return replace(templates, errors=layers.shown(templates.errors), warnings=layers.shown(templates.warnings))


def load_flows(templates_dir: Path | str) -> tuple[Flow, ...]:
    """Return all flows below `templates_dir`, sorted by name and version.

    Raises:
        FlowFileError: the folder is missing, has no flow, or its files contain errors. All of them are reported.
    """
    return _without_errors(read_templates(templates_dir)).flows


def _without_errors(templates: Templates) -> Templates:
    if templates.errors:
        raise FlowFileError(templates.errors)
    return templates


class _Loader:
    """Reads file by file and collects problems. `off` are flows of Takk that do not run, and that others may name."""

    def __init__(self, root: Path, off: Collection[str] = ()) -> None:
        self.root = root
        self.off = off
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def load(self) -> Templates:
        """Return the whole folder."""
        segments: dict[str, Condition] = self.read(self.root / SEGMENTS, parse_segments) or {}
        rules = self.read(self.root / _RULES, parse_rules) or NO_RULES
        # Without a file the strictest policy: transactional emails continue, and no customer gets an email by mistake.
        policy = self.read(self.root / _CONSENT, parse_policy) or STRICT
        flows: list[Flow] = []
        folders = self.folders()
        for folder in folders.values():
            flows += self.folder(folder, segments or segment_names(self.root / SEGMENTS), rules, policy)
        if not flows and not self.errors:
            self.error("files.E002", self.root, "the folder contains no flows", f"add {FLOWS}/<group>/<flow>/{FLOW}")
        newest = list({flow.name: flow for flow in flows}.values())
        is_missing = policy.is_built_in and not (self.root / _CONSENT).exists()
        if is_missing and not all(flow.is_transactional for flow in newest):
            message = "missing file: only transactional emails and emails with explicit consent are sent"
            hint = f"copy templates/{_CONSENT} of Takk, and have it reviewed"
            self.warnings.append(Problem("consent.W001", message, hint).in_file(self.root / _CONSENT))
        for flow, problem in check_flows_together(newest):
            self.note(folders[flow.name] / FLOW, [problem])
        known = [flow.name for flow in newest] + sorted(self.off)
        for flow, problem in check_not_with(newest, known, rules.external_series):
            self.note(folders[flow.name] / FLOW, [problem])
        return Templates(
            flows=tuple(flows),
            segments=segments,
            rules=rules,
            consent=policy,
            errors=tuple(self.errors),
            warnings=tuple(self.warnings),
        )

    def brand(self, parse: Callable[[str], Brand | list[Problem]] = parse_brand) -> Brand | None:
        """Return the brand; None without a file, or if the file contains errors."""
        path = self.root / BRAND
        brand = self.read(path, parse)
        if brand is None:
            return None
        for problem in (*check_logo(self.root, brand.logo), *check_logo(self.root, brand.logo_dark)):
            (self.errors if problem.level == "error" else self.warnings).append(problem)
        positions = brand_positions(path.read_text(encoding="utf-8"))
        problems = (*check_example(brand), *check_contrast(brand, positions))
        self.warnings += [problem.in_file(path, positions) for problem in problems]
        return brand

    def folders(self) -> dict[str, Path]:
        """Return the flows' folders by name. Misplaced files are noted."""
        if not self.root.is_dir():
            self.error("files.E001", self.root, "folder not found", "name the folder that contains the flows")
            return {}
        try:
            self.errors += layout_problems(self.root)
            return flow_folders(self.root)
        except OSError as error:
            self.errors.append(unreadable(Path(error.filename), error))
            return {}

    def folder(self, folder: Path, segments: Collection[str], rules: SendingRules, policy: ConsentPolicy) -> list[Flow]:
        """Return the versions of one flow, the newest last."""
        messages = message_names(folder)
        parse = partial(parse_flow, messages=messages, folder=folder.name, segments=segments)
        path = folder / FLOW
        flow = self.read(path, parse)
        if flow is None:
            if not path.exists() and any(folder.glob(ANY_KEPT)):
                self.error("files.E008", path, f"missing file {FLOW}: the folder has only older versions", "add it")
            return []
        versions = [*self.older(folder, flow, parse), flow]
        self.note(path, [*check_flow(flow, rules, policy), *check_unused_messages(versions, messages)])
        by_number = {version.version: version for version in versions}
        for version in versions:
            file = path if version is flow else folder / version_file(version.version)
            self.note(file, check_migrations(version, by_number))
        return versions

    def older(self, folder: Path, newest: Flow, parse: Callable[[str], Flow | list[Problem]]) -> list[Flow]:
        """Return the older versions, which are kept for the customers who are still on them."""
        versions: dict[int, Flow] = {}
        for path in sorted(folder.glob(ANY_KEPT)):
            match = _KEPT.match(path.name)
            if match is None:
                message = f"invalid file name {path.name!r} for an older version"
                self.error("files.E010", path, message, f"rename it to {version_file('<version>')}")
                continue
            flow, version = self.read(path, parse), int(match[1])
            if flow is None:
                continue
            if flow.version != version:
                message = f"the file's name has version {version}, but the file has version {flow.version}"
                self.note(path, [problem_at("version", "flow.E054", message, f"write `version: {version}`")])
            elif version >= newest.version:
                message = f"version {version} is not older than {FLOW}, which has version {newest.version}"
                self.note(path, [problem_at("version", "flow.E055", message, f"raise the version in {FLOW}")])
            else:
                versions[version] = flow
        return [versions[version] for version in sorted(versions)]

    def read(self, path: Path, parse: Callable[[str], T | list[Problem]]) -> T | None:
        """Return the parsed content of a file; None if it is missing or contains errors, which are noted."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            self.errors.append(not_utf8(path, error))
            return None
        except OSError as error:
            self.errors.append(unreadable(path, error))
            return None
        parsed = parse(text)
        if isinstance(parsed, list):
            self.errors += [problem.in_file(path) for problem in parsed]
            return None
        return parsed

    def note(self, path: Path, problems: Iterable[Problem]) -> None:
        """Note problems of the flow at `path`, each at the position of its part of the flow. Those of repeated steps are noted once."""
        problems = list(problems)
        positions = positions_in(path.read_text(encoding="utf-8")) if problems else {}
        placed = [problem.in_file(path, positions) for problem in problems]
        for problem in {str(problem): problem for problem in placed}.values():
            (self.errors if problem.level == "error" else self.warnings).append(problem)

    def error(self, id: str, path: Path, message: str, hint: str) -> None:
        """Note an error of a file or folder as a whole."""
        self.errors.append(Problem(id, message, hint).in_file(path))


def load_brand(templates_dir: Path | str) -> Brand | None:
    """Return the brand of a templates folder, or None if it has none.

    Raises:
        FlowFileError: `shared/brand.yaml` contains errors.
    """
    return _load_brand(Path(templates_dir), parse_brand)


def _load_brand(templates_dir: Path, parse: Callable[[str], Brand | list[Problem]]) -> Brand | None:
    loader = _Loader(templates_dir)
    brand = loader.brand(parse)
    if loader.errors:
        raise FlowFileError(loader.errors)
    return brand


def brand_problems(templates_dir: Path | str) -> tuple[Problem, ...]:
    """Return the problems of the brand of a templates folder. They are apart from those of flows, because flows do not depend on the brand."""
    loader = _Loader(Path(templates_dir))
    loader.brand()
    return (*loader.errors, *loader.warnings)


def load_email_brand(templates_dir: Path | str, shop_name: str) -> EmailBrand:
    """Return the brand of the emails of a templates folder.

    Args:
        templates_dir: the folder.
        shop_name: the name of a shop without `shared/brand.yaml`.

    Raises:
        FlowFileError: `shared/brand.yaml` contains errors that concern emails. Those of pages stop the gateway only.
    """
    root = Path(templates_dir)
    return email_brand(_load_brand(root, parse_email_brand) or Brand(name=shop_name), root)


def load_ruleset(
    templates_dir: Path | str | Layers,
    *,
    shop: Shop | None = None,
    rates: Mapping[str, Decimal] = RATES,
    vip_spend: Decimal = Decimal(10_000),
    limits: Limits | None = None,
    attribution_days: int = 3,
    day_scale: Fraction | float = 1.0,
    reward_key: bytes = b"",
    address_key: bytes = b"",
    transactional_per_address: int = TRANSACTIONAL_PER_ADDRESS,
    test_recipients: Collection[str] = (),
    shows_pages: bool = False,
) -> Ruleset:
    """Return the ruleset of `templates_dir`: its flows, sending rules, segments and consent policy.

    The other arguments are those of `Ruleset`.

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
        address_key=address_key,
        transactional_per_address=transactional_per_address,
        test_recipients=test_recipients,
        shows_pages=shows_pages,
    )
