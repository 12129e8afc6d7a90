"""Reads the messages of flows as a customer would get them, and tells what is wrong with them before a mail has to be written.

Each message is rendered in every language that there is copy in, with made-up facts that say everything and with such that say as little as
facts may. What stands in branches that neither reaches is looked at too: for names that no message is ever given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError, meta, nodes

from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer import OrderFacts, OrderState, Parcel
from streams.core.model.effects import Content
from streams.core.model.events import OrderLine
from streams.core.model.flow import Flow, Reward, Send, WaitFor, is_about_order
from streams.core.sending.content import template_data
from streams.core.sending.greeting import MOODS
from streams.core.values.text import nearest
from streams.definitions.checks.flow import guard_rewards
from streams.definitions.checks.paths import reachable
from streams.definitions.language.positions import places
from streams.definitions.loader import Mistake, kept_name
from streams.mail.command import Command
from streams.mail.links import Links
from streams.mail.rendering.renderer import FALLBACK, Renderer, RenderError, greeting_key
from streams.mail.rendering.template_folders import COPY, SHARED, flow_folders

_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_WHERE = ZoneInfo("Europe/Copenhagen")
_LINKS = Links("https://links.example/u", "https://links.example/o", "https://links.example/r")
_FEWEST_LINKS = Links(None, None, "https://links.example/r")
_PRICE = {"minor": 9_900, "currency": "DKK"}
_FULL_PRODUCT = {
    "sku": "S-1", "title": "Tea", "url": "https://shop.example/s-1", "image_url": "https://shop.example/s-1.png", "price": _PRICE,
    "reason": "complement",
}  # fmt: skip
_LEAST_PRODUCT = {**_FULL_PRODUCT, "url": None, "image_url": None, "reason": "category"}
#: What every message is given beside the facts.
_ALWAYS = ("language", "shop_name", "subject", "preview", "unsubscribe_url", "pixel_url", "review_url", "t")
#: What some messages are given and others are not, and what would give it to them.
_SOMETIMES = {
    "order": "begin the flow with an order or a parcel",
    "shipment": "begin the flow with a parcel, or wait_for one",
    "products": "add products: 4 to the send",
    "reward": "give a reward before the send",
}
#: Where the words of messages stand.
_FILES = ("shared/*.j2", "shared/*.css", "copy/*.yaml", "flows/*/*/*.j2", "flows/*/*/copy/*.yaml")
_NO_NAME = re.compile(r"'(\w+)' is undefined")
_NO_FIELD = re.compile(r"has no attribute '(\w+)'")
_NO_FILTER = re.compile(r"No (filter|test) named '(\w+)'")
_IN_COPY = re.compile(r"(.+?\.yaml): (.*)", re.DOTALL)


def proofread(root: Path, flows: Iterable[Flow]) -> list[Mistake]:
    """Everything that is wrong with the messages that the flows send; a message that is not there is told by flow_files.

    Args:
        root: the templates folder.
        flows: with all their versions; they must be right.
    """
    if unreadable := list(_unreadable(root)):
        return unreadable
    flows = list(flows)
    folders = flow_folders(root) if flows else {}
    newest = {flow.name: flow.version for flow in flows}
    found: dict[Mistake, None] = {}
    for flow in flows:
        reader = _Reader(root, folders[flow.name], flow)
        found |= dict.fromkeys(reader.mistakes())
        path = folders[flow.name] / ("flow.yaml" if flow.version == newest[flow.name] else kept_name(flow.version))
        findings = guard_rewards(flow, reader.showing_rewards())
        where = places(path.read_text(encoding="utf-8")) if findings else {}
        found |= {Mistake(str(path), *where[one.place], one.problem, one.remedy): None for one in findings}
    return list(found)


def _unreadable(root: Path) -> Iterator[Mistake]:
    """The files of messages that are no text: nothing that they are part of can be rendered."""
    for path in sorted(path for pattern in _FILES for path in root.glob(pattern)):
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            yield Mistake(str(path), 1, 1, f"the file is not UTF-8 at byte {error.start}", "save it as UTF-8")
        except OSError as error:
            yield Mistake(
                str(path), 1, 1, f"the file cannot be read: {error.strerror}", "give Takk the right to read it"
            )


def sample(flow: Flow, step: Send, *, is_full: bool, has_reward: bool = True) -> dict[str, Any]:
    """What the message of a step may be given: as much as there can be, or as little."""
    compiled = CompiledFlow(flow)
    steps = compiled.steps.values()
    order = _order(is_full) if is_about_order(flow.trigger.on) else None
    content = Content(
        customer_id="c1",
        name="Åse Ørsted" if is_full else "",
        locale="da",
        country="DK",
        purchases=2,
        greeted_at=_AT,
        zone=_WHERE,
        order=order,
        parcel=order.parcels[0] if order is not None and _has_parcel(compiled, step, is_full) else None,
        reward="ABCD-1234" if has_reward and any(isinstance(one, Reward) for one in steps) else "",
        chosen=((_FULL_PRODUCT if is_full else _LEAST_PRODUCT),) if step.products else None,
    )
    return template_data(content)


def _has_parcel(compiled: CompiledFlow, step: Send, is_full: bool) -> bool:
    """Whether who comes to a step has a parcel: the flow began with one, or its news were waited for and came; behind such a wait only some have."""
    if compiled.flow.trigger.on.startswith("shipment."):
        return True
    for one in compiled.steps.values():
        if isinstance(one, WaitFor) and one.event.startswith("shipment."):
            then = compiled.branch(one, 0)
            if step.path.startswith(f"{one.path}.0.") or (is_full and then and step.path in reachable(compiled, then)):
                return True
    return False


def _order(is_full: bool) -> OrderState:
    line = OrderLine("S-1", "Tea & <more>", "tea", 2, 12_345) if is_full else OrderLine("S-1", "", "", 1, 0)
    facts = OrderFacts(
        "a@post.example", "Åse Ørsted", "da", "DK", "DK", "DKK", 24_690 if is_full else 0, _AT, None, (line,)
    )
    until = _AT + timedelta(days=2)
    parcel = (
        Parcel("p1", "delivered", _AT, "PostNord", "T1", "https://track.example/1", _AT, until, (("S-1", 2),), ())
        if is_full
        else Parcel("p1", "delivered", _AT, "", "", "", None, None, (), ())
    )
    return OrderState("o1", facts, _AT, True, parcels=(parcel,), parcels_in_order=1)


class _Reader:
    """Reads the messages of one version of a flow."""

    def __init__(self, root: Path, folder: Path, flow: Flow) -> None:
        self.root = root
        self.flow = flow
        self.folder = folder
        self.sends = [step for step in CompiledFlow(flow).steps.values() if isinstance(step, Send)]
        self.languages = sorted({FALLBACK, *(path.stem for path in (self.folder / COPY).glob("*.yaml"))})
        # Unstyled, a template's lines are the file's own; styled, what only the styling cannot take is found.
        self._plain, self._styled = (Renderer(root, "Shop", is_styled=is_styled) for is_styled in (False, True))

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong with the messages."""
        for step in self.sends:
            files = [path for ending in ("html", "txt") if (path := self._file(step.message, ending)).is_file()]
            if not files:
                continue
            unread = [one for path in files for one in self._unread(path, step)]
            yield from unread or list(self._ungreeted(step)) or self._unwritten(step)

    def showing_rewards(self) -> set[str]:
        """The messages that cannot be written for who has no code."""
        return {step.message for step in self.sends if self._is_lost_without_reward(step)}

    def _is_lost_without_reward(self, step: Send) -> bool:
        without = sample(self.flow, step, is_full=True, has_reward=False)
        return without != sample(self.flow, step, is_full=True) and self._needs("reward", step, without)

    def _needs(self, name: str, step: Send, without: dict[str, Any]) -> bool:
        """Whether the message cannot be written from a context that lacks `name`."""
        try:
            self._plain.render(self._command(step, FALLBACK, without), _LINKS)
        except RenderError as error:
            return f"'{name}' is undefined" in str(error)
        return False

    def _unread(self, path: Path, step: Send) -> Iterator[Mistake]:
        """What is wrong whatever the facts are: the template is none, or asks for what no message is given."""
        source, environment = path.read_text(encoding="utf-8"), self._plain.environment
        try:
            environment.compile(environment.parse(source))
        except TemplateSyntaxError as error:
            yield self._mistake(path, error.lineno, str(error.message), {})
            return
        tree, given = environment.parse(source), sample(self.flow, step, is_full=True)
        free = meta.find_undeclared_variables(tree)
        known = {*given, *_ALWAYS, *_SOMETIMES, *environment.globals}
        for name in tree.find_all(nodes.Name):
            if name.ctx == "load" and name.name in free and name.name not in known:
                yield self._mistake(path, name.lineno, f"'{name.name}' is undefined", given)
        for part in tree.find_all(nodes.Getattr):
            fields = given.get(part.node.name) if isinstance(part.node, nodes.Name) and part.node.name in free else None
            if isinstance(fields, dict) and part.attr not in fields and not hasattr(dict, part.attr):
                yield self._mistake(path, part.lineno, f"has no attribute '{part.attr}'", fields)

    def _ungreeted(self, step: Send) -> Iterator[Mistake]:
        """Yield the greetings of the message that a language lacks. English ones would stand in, which customers would be the first to notice."""
        without = sample(self.flow, step, is_full=True)
        del without["mood"], without["greeting"]
        if not self._needs("greeting", step, without):
            return
        for language in self.languages:
            try:
                texts = self._plain.texts(self.flow.name, language)
            except RenderError:
                return  # reported when the message is written
            for key in [key for mood in MOODS if (key := greeting_key(mood)) not in texts]:
                path = self.root / COPY / f"{language}.yaml"
                yield Mistake(str(path), 1, 1, f"the copy has no text {key!r}", "add it")

    def _unwritten(self, step: Send) -> Iterator[Mistake]:
        """What goes wrong when the message is written."""
        for is_full, links in ((True, _LINKS), (False, _FEWEST_LINKS)):
            context = sample(self.flow, step, is_full=is_full)
            for language in self.languages:
                for renderer in (self._plain, self._styled):
                    try:
                        renderer.render(self._command(step, language, context), links)
                    except RenderError as error:
                        yield self._told(step, context, error)
                        return

    def _told(self, step: Send, context: Mapping[str, Any], error: RenderError) -> Mistake:
        cause = error.__cause__
        problem = str(error)
        if isinstance(cause, TemplateNotFound):
            problem = f"there is no template {cause.name}; {self._remedy_of_missing(str(cause.name))}"
        elif isinstance(cause, TemplateError) and cause.message:
            problem = cause.message
        copy = _IN_COPY.match(problem)
        if copy is not None and (self.root / copy[1]).is_file():
            return self._mistake(self.root / copy[1], 1, copy[2], context)
        path, line = _place(cause or error) or (self._file(step.message, "html"), 1)
        return self._mistake(Path(path), line, problem, context)

    def _remedy_of_missing(self, name: str) -> str:
        """What to do about a template that is not there. In earlier versions the shared ones were at the top of the folder."""
        return f'write "{SHARED}/{name}"' if (self.root / SHARED / name).is_file() else "add it"

    def _mistake(self, path: Path, line: int, problem: str, given: Mapping[str, Any]) -> Mistake:
        """What is wrong in a line of a template, at the word that it is about."""
        problem, _, remedy = problem.partition("; ")
        problem, remedy, word = problem.rstrip("."), remedy or "look at the template there", ""
        if found := _NO_NAME.search(problem):
            word = found[1]
            problem, remedy = f"unknown name {word!r}", nearest(word, sorted({*given, *_ALWAYS}))
            if word in _SOMETIMES:
                problem, remedy = f"this message has no {word}", _SOMETIMES[word]
        elif found := _NO_FIELD.search(problem):
            word = found[1]
            problem, remedy = f"unknown field {word!r}", nearest(word, sorted({*_fields(given)}))
        elif found := _NO_FILTER.search(problem):
            kind, word = found.groups()
            environment = self._plain.environment
            known = environment.filters if kind == "filter" else environment.tests
            problem, remedy = f"unknown {kind} {word!r}", nearest(word, sorted(known))
        lines = path.read_text(encoding="utf-8").splitlines() if word and path.is_file() else []
        # Jinja is not always sure of the line: where the word is not in it, the first that has it is meant.
        for number in (line, *range(1, len(lines) + 1)):
            at = re.search(rf"\b{re.escape(word)}\b", lines[number - 1]) if number <= len(lines) else None
            if at:
                return Mistake(str(path), number, at.start() + 1, problem, remedy)
        return Mistake(str(path), line, 1, problem, remedy)

    def _file(self, message: str, ending: str) -> Path:
        return self.folder / f"{message}.{ending}.j2"

    def _command(self, step: Send, language: str, context: dict[str, Any]) -> Command:
        return Command(
            send_id="s1", customer_id="c1", instance_id="i1", flow=self.flow.name, flow_version=self.flow.version, step=step.path,
            message=step.message, purpose=step.purpose, priority=step.priority, not_after=_AT, to_address="a@post.example", to_name="",
            locale=language, time_zone=_WHERE.key, country="DK", order_id="o1", context=context, tracking=True, attempt=1,
            commanded_at=_AT, raw=b"",
        )  # fmt: skip


def _fields(given: Any) -> Iterator[str]:
    """The names of all fields in what a message is given, however deep."""
    if isinstance(given, Mapping):
        yield from given
    for inner in given.values() if isinstance(given, Mapping) else given if isinstance(given, (list, tuple)) else ():
        yield from _fields(inner)


def _place(error: BaseException) -> tuple[str, int] | None:
    """The file and line of the innermost template that an error comes from; None if no file is to blame."""
    if isinstance(error, TemplateSyntaxError) and error.filename is not None:
        return error.filename, error.lineno
    found, trace = None, error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None and template.filename not in (None, "<template>"):
            found = (str(template.filename), template.get_corresponding_lineno(trace.tb_lineno))
        trace = trace.tb_next
    return found
