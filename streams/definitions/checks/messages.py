"""Checks of messages: renders every message as customers would get it, and reports what is wrong before an email has to be written.

Each message is rendered in every language of the copy, with sample data that has every optional part, and with data that has as few as
possible. Branches that neither reaches are checked for names that no message ever gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError, meta, nodes

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Send
from streams.core.sending.greeting import MOODS
from streams.core.values.text import nearest, similar
from streams.definitions.checks.copy_files import check_copy, text_position
from streams.definitions.checks.languages import check_languages, languages_of, missing_copies
from streams.definitions.checks.layout import FLOW, version_file
from streams.definitions.checks.message_fields import unknown_field
from streams.definitions.checks.recipients import check_rewards
from streams.definitions.checks.salutations import Salutations
from streams.definitions.checks.sample_data import FEWEST_LINKS, LINKS, command, template_sample
from streams.definitions.checks.shop_brand import brand_of
from streams.definitions.checks.template_errors import template_of
from streams.definitions.checks.used_names import UsedNames
from streams.definitions.language.positions import positions_in
from streams.definitions.problems import Location, Problem, not_utf8, unreadable
from streams.mail.links import Links
from streams.mail.rendering.languages import language_chain, read_languages
from streams.mail.rendering.occasions import read_occasions
from streams.mail.rendering.render_errors import RenderError
from streams.mail.rendering.renderer import Renderer
from streams.mail.rendering.salutations import CLOSINGS, GREETINGS
from streams.mail.rendering.template_folders import COPY, FLOWS, SHARED, flow_folders, shared_templates
from streams.mail.rendering.texts import COPY_TEXT

#: Names that every message gets beside its data.
_ALWAYS = (
    "brand", "closing", "confirm_url", "contest_url", "headline", "language", "pixel_url", "preferences_url", "preview", "referral_url",
    "reorder_url", "review_url", "shop", "shop_name", "subject", "survey_url", "t", "unsubscribe_url",
)  # fmt: skip
#: Names that only some messages get, with what makes them available.
_SOMETIMES = {
    "order": "start the flow with an order or a parcel",
    "shipment": "start the flow with a parcel, or `wait_for` one",
    "products": "add `products: 4` or `together: true` to the `send`",
    "product": "write `once_per: product` in the trigger",
    "categories": "add `categories: 3` to the `send`",
    "event": "start the flow with an event that has data, or `wait_for` one",
    "reward": "add a `reward` before the `send`, or start with `reward.expiring`",
    "repeat": "put the `send` into the steps of a `repeat`",
    "request": "start the flow with `request.asked` or `request.confirmed`",
}
_COPY_FILES = (f"{COPY}/*.yaml", f"{FLOWS}/*/*/{COPY}/*.yaml")
#: The files with the texts of messages.
_FILES = (f"{SHARED}/*.css", *_COPY_FILES, f"{FLOWS}/*/*/*.j2")
_UNKNOWN_NAME = re.compile(r"'(\w+)' is undefined")
_UNKNOWN_FIELD = re.compile(r"has no attribute '(\w+)'")
_UNKNOWN_FILTER = re.compile(r"No (filter|test) named '(\w+)'")
_MISSING_TEXT = re.compile(r"has no text '([^']+)'")
_GUIDE = 'see "Messages and copy" in templates/LANGUAGE.md'


def check_messages(root: Path, flows: Iterable[Flow]) -> list[Problem]:
    """Return the problems of the messages that flows send. Missing messages are reported by the reader of flow.yaml.

    Args:
        root: the templates folder.
        flows: all versions of all flows; they must be valid.
    """
    problems: dict[Problem, None] = dict.fromkeys(_check_files(root))  # in order, each once
    names = list(check_languages(root)) if root.is_dir() else []
    unreadable_files = [Path(problem.location.file) for problem in problems]
    problems |= dict.fromkeys(names)
    flows = list(flows)
    if not flows or any(not path.is_relative_to(root / FLOWS) for path in unreadable_files):
        return list(problems)  # every message may use a shared file
    folders = flow_folders(root)
    newest = {flow.name: flow.version for flow in flows}
    brand = brand_of(root)
    # Without styles, a template's lines are those of its file. With styles, errors of the styling are found. The flows share the compiled
    # templates: most of a message is the shared layout.
    both = [Renderer(root, brand, is_styled=is_styled, is_strict=True) for is_styled in (False, True)]
    salutations = Salutations(UsedNames(both[0].environment, root))
    for flow in flows:
        if any(path.is_relative_to(folders[flow.name]) for path in unreadable_files):
            continue
        checker = _MessageChecker(root, folders[flow.name], flow, both, salutations)
        problems |= dict.fromkeys(checker.problems())
        path = folders[flow.name] / (FLOW if flow.version == newest[flow.name] else version_file(flow.version))
        missing_codes = check_rewards(flow, checker.messages_showing_rewards())
        positions = positions_in(path.read_text(encoding="utf-8")) if missing_codes else {}
        problems |= dict.fromkeys([problem.in_file(path, positions) for problem in missing_codes])
    return list(problems)


def _check_files(root: Path) -> Iterator[Problem]:
    """Yield the problems of files that cannot be read. No message that uses them can be rendered."""
    copies = {path for pattern in _COPY_FILES for path in root.glob(pattern)}
    for path in sorted([*shared_templates(root), *(path for pattern in _FILES for path in root.glob(pattern))]):
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            yield not_utf8(path, error)
        except OSError as error:
            yield unreadable(path, error)
        else:
            yield from check_copy(path) if path in copies else ()


class _MessageChecker:
    """Checks the messages of one version of a flow.

    Args:
        root: the templates folder.
        folder: the folder of the flow.
        flow: the version.
        both: render messages without and with styles.
        salutations: the greetings and closings of earlier messages.
    """

    def __init__(self, root: Path, folder: Path, flow: Flow, both: list[Renderer], salutations: Salutations) -> None:
        self.root = root
        self.flow = flow
        self.folder = folder
        self.sends = [step for step in CompiledFlow(flow).steps.values() if isinstance(step, Send)]
        self.languages = languages_of(root, folder)
        self.default = read_languages(root).default
        self._plain, self._styled = both
        self._salutations = salutations

    def problems(self) -> Iterator[Problem]:
        """Yield the problems of all messages. Of each message the first kind of problem is reported."""
        missing = list(missing_copies(self.root, self.folder)) if self.sends else []
        yield from missing
        for step in self.sends if not missing else ():
            files = [path for ending in ("html", "txt") if (path := self._file(step.message, ending)).is_file()]
            if not files:
                continue
            static = [problem for path in files for problem in self._check_template(path, step)]
            yield from static or list(self._check_greetings(step)) or self._check_rendering(step)

    def messages_showing_rewards(self) -> set[str]:
        """Return the messages that cannot be rendered without a reward code."""
        return {step.message for step in self.sends if self._needs_reward(step)}

    def _needs_reward(self, step: Send) -> bool:
        without = template_sample(self.flow, step, is_full=True, has_reward=False)
        return without != template_sample(self.flow, step, is_full=True) and self._needs("reward", step, without)

    def _needs(self, name: str, step: Send, without: dict[str, Any]) -> bool:
        """Return whether a message cannot be rendered with data that lacks `name`."""
        try:
            self._plain.render(command(self.flow, step, self.default, without), LINKS)
        except RenderError as error:
            return f"'{name}' is undefined" in str(error)
        return False

    def _check_template(self, path: Path, step: Send) -> Iterator[Problem]:
        """Yield problems that do not depend on the data: invalid syntax, and names that no message gets."""
        source, environment = path.read_text(encoding="utf-8"), self._plain.environment
        try:
            environment.compile(environment.parse(source))
        except TemplateSyntaxError as error:
            yield self._problem("message.E001", (path, error.lineno), str(error.message), {})
            return
        tree, data = environment.parse(source), template_sample(self.flow, step, is_full=True)
        free = meta.find_undeclared_variables(tree)
        known = {*data, *_ALWAYS, *_SOMETIMES, *environment.globals}
        for name in tree.find_all(nodes.Name):
            if name.ctx == "load" and name.name in free and name.name not in known:
                yield self._problem("message.E002", (path, name.lineno), f"'{name.name}' is undefined", data)
        for part in tree.find_all(nodes.Getattr):
            fields = data.get(part.node.name) if isinstance(part.node, nodes.Name) and part.node.name in free else None
            if isinstance(fields, dict) and part.attr not in fields and not hasattr(dict, part.attr):
                yield self._problem("message.E004", (path, part.lineno), f"has no attribute '{part.attr}'", data)

    def _check_greetings(self, step: Send) -> Iterator[Problem]:
        """Yield the problems of the greetings and closings of a message, for every mood.

        If a language lacks one, that of another language would stand in, and customers would notice first.
        """
        full = template_sample(self.flow, step, is_full=True)
        without = {name: value for name, value in full.items() if name not in ("mood", "greeting")}
        pages = [self._file(step.message, ending).relative_to(self.root).as_posix() for ending in ("html", "txt")]
        needs_greeting = self._needs("greeting", step, without)
        used = set().union(*map(self._salutations.used_names.of, pages))
        needs_closing = "closing" in used
        if not needs_greeting and not needs_closing:
            return
        for language in self.languages:
            of_chain = [self._plain.texts(self.flow.name, name) for name in (*language_chain(language), language)]
            texts = {key: text for of_language in of_chain for key, text in of_language.items()}
            keys = [*GREETINGS] if needs_greeting else []
            # The copies of earlier versions have one closing for all moods.
            keys += CLOSINGS if needs_closing and "regards" not in texts else ()
            missing = [key for key in keys if key not in texts]
            for key in missing:
                path = self.root / COPY / f"{language}.yaml"
                yield Problem("message.E006", f"missing text {key!r}", "add it to the file").in_file(path)
            if missing or not ("mood" in used or self._salutations.is_new(language, texts, full)):
                continue
            for mood in (*MOODS, *read_occasions(self.root).names):
                yield from self._render(step, language, full | {"mood": mood, "local_time": ""})

    def _check_rendering(self, step: Send) -> Iterator[Problem]:
        """Yield the first error while the message is rendered."""
        for is_full, links in ((True, LINKS), (False, FEWEST_LINKS)):
            data = template_sample(self.flow, step, is_full=is_full)
            for language in self.languages:
                problem = next(self._render(step, language, data, links), None)
                if problem is not None:
                    yield problem
                    return

    def _render(self, step: Send, language: str, data: dict[str, Any], links: Links = LINKS) -> Iterator[Problem]:
        """Render a message without and with styles, and yield the first error."""
        for renderer in (self._plain, self._styled):
            try:
                renderer.render(command(self.flow, step, language, data), links)
            except RenderError as error:
                yield self._rendering_problem(step, language, data, error)
                return

    def _rendering_problem(self, step: Send, language: str, data: Mapping[str, Any], error: RenderError) -> Problem:
        cause = error.__cause__
        position = template_of(cause or error) or (str(self._file(step.message, "html")), 1)
        id, message = "message.E009", str(error)
        if isinstance(cause, TemplateNotFound):
            id, message = "message.E008", f"template {cause.name} not found; {self._missing_template(str(cause.name))}"
        elif isinstance(cause, TemplateError) and cause.message:
            id = "message.E001" if isinstance(cause, TemplateSyntaxError) else id
            message = cause.message
        elif _MISSING_TEXT.search(message):
            id = "message.E006"
        file, line = position
        if file.startswith(COPY_TEXT):
            return self._problem_in_copy(id, (file.removeprefix(COPY_TEXT), line), language, message, data)
        return self._problem(id, (Path(file), line), message, data)

    def _problem_in_copy(
        self, id: str, position: tuple[str, int], language: str, message: str, data: Mapping[str, Any]
    ) -> Problem:
        """Return the problem in a line of a text, in the first copy file that has it: the flow's before the shared, the language first."""
        key, line = position
        source = self._plain.texts(self.flow.name, language).get(key, "")
        id, message, hint, word = self._described(id, message, data, source)
        for path in [
            folder / COPY / f"{name}.yaml"
            for name in dict.fromkeys((language, *language_chain(language), self.default))
            for folder in (self.folder, self.root)
        ]:
            at = text_position(path, key, word, line)
            if at is not None:
                return Problem(id, message, hint, Location(*at)).in_file(path)
        return Problem(id, message, hint).in_file(self.folder / COPY / f"{language}.yaml")

    def _missing_template(self, name: str) -> str:
        """Return what to do about a missing template. In earlier versions the shared ones were at the top of the folder."""
        return f'write "{SHARED}/{name}"' if (self.root / SHARED / name).is_file() else "add it"

    def _problem(self, id: str, position: tuple[Path, int], message: str, data: Mapping[str, Any]) -> Problem:
        """Return a problem in a line of a template, at the word that it concerns."""
        path, line = position
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        id, message, hint, word = self._described(
            id, message, data, "\n".join([*lines[line - 1 :], *lines[: line - 1]])
        )
        # Jinja's line is not always exact. If the word is not in it, the first line with the word is meant.
        for number in (line, *range(1, len(lines) + 1)) if word else ():
            match = re.search(rf"\b{re.escape(word)}\b", lines[number - 1]) if number <= len(lines) else None
            if match:
                return Problem(id, message, hint, Location(number, match.start() + 1)).in_file(path)
        return Problem(id, message, hint, Location(line)).in_file(path)

    def _described(self, id: str, message: str, data: Mapping[str, Any], source: str) -> tuple[str, str, str, str]:
        """Return id, message and hint for an error of Jinja or the renderer, and the word that it concerns, or an empty text."""
        message, _, hint = message.partition("; ")
        if match := _UNKNOWN_NAME.search(message):
            word = match[1]
            if word in _SOMETIMES:
                return "message.E003", f"this message has no {word}", _SOMETIMES[word], word
            return "message.E002", f"unknown name {word!r}", nearest(word, sorted({*data, *_ALWAYS})), word
        if match := _UNKNOWN_FIELD.search(message):
            return "message.E004", *unknown_field(match[1], source, data), match[1]
        if match := _UNKNOWN_FILTER.search(message):
            kind, word = match.groups()
            environment = self._plain.environment
            known = environment.filters if kind == "filter" else environment.tests
            hint = nearest(word, sorted(known)) if similar(word, known) else _GUIDE
            return "message.E005", f"unknown {kind} {word!r}", hint, word
        missing = _MISSING_TEXT.search(message)
        return id, message.rstrip("."), hint or "check the template", missing[1] if missing else ""

    def _file(self, message: str, ending: str) -> Path:
        return self.folder / f"{message}.{ending}.j2"
