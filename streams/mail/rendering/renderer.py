"""From a command to the words of a mail: sandboxed Jinja2 over the templates, in the customer's language and time zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from babel import Locale, UnknownLocaleError
from inscriptis import get_text
from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, TemplateNotFound, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from streams.core.sending.greeting import MOODS
from streams.mail.command import Command
from streams.mail.rendering.filters import FILTERS
from streams.mail.rendering.structured_data import FACTS
from streams.mail.rendering.styles import StyledLoader
from streams.mail.rendering.template_folders import COPY, FLOWS, flow_folders

FALLBACK = "en"
#: Pairs of a flow and a locale whose copy is kept.
MOST_COPIES = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*\Z")
_LANGUAGE = re.compile(r"[a-z]{2,3}\Z")


class RenderError(RuntimeError):
    """A message that cannot be rendered: the template and what is wrong with it, without what the customer's data says."""


@dataclass(frozen=True)
class Rendered:
    """The words of one mail; `subject` is a single line."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Links:
    """The addresses that a mail carries; None leaves the part out."""

    unsubscribe: str | None
    pixel: str | None
    review: str


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which `order.lines` of a dictionary is its field at once.

    Jinja asks for the attribute first and catches the error, for each of a mail's hundred fields; and a field named like a method
    (`items`) would be hidden by it. What a dictionary does not hold goes Jinja's own way, the sandbox's checks with it.
    """

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute` of a template."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class Renderer:
    """Renders commands with the templates below `templates_dir`, compiled and styled on first use and kept.

    A message without a `.txt.j2` gets its text from its HTML. `is_styled=False` leaves the styles out.
    """

    def __init__(self, templates_dir: Path, shop_name: str, *, is_styled: bool = True) -> None:
        self._dir = templates_dir
        #: The folder of each flow, relative to the templates folder.
        self._folders: dict[str, str] = {}
        self._shop_name = shop_name
        loader = StyledLoader(templates_dir) if is_styled else FileSystemLoader(templates_dir)
        self._html = _environment(loader, autoescape=True)
        self._text = _environment(loader, autoescape=False)
        self._copies: dict[tuple[str, str], tuple[str, Mapping[str, str]]] = {}
        #: A text of the copy in one of the two environments: words alone, or a compiled template.
        self._said: dict[tuple[bool, str], str | Template] = {}

    @property
    def environment(self) -> Sandbox:
        """What HTML templates are compiled in: its filters, and how it reads a source."""
        return self._html

    def render(self, command: Command, links: Links) -> Rendered:
        """The words of the mail that `command` orders.

        Raises:
            RenderError: the template is missing or broken, or asks for what the command does not hold.
        """
        where = f"{command.flow}/{command.message}"
        if not (_FOLDER.match(command.flow) and _FOLDER.match(command.message)):
            raise RenderError("the flow or the message has a name that no folder or file has")
        try:
            return self._render(command, links)
        except RenderError:
            raise
        except TemplateNotFound as error:
            raise RenderError(f"{where}: there is no template {error.name}") from error
        except TemplateError as error:
            raise RenderError(f"{where}: {error.message}") from error
        except Exception as error:
            # Whatever a command's data does to a filter or to the template's code is that one mail's misfortune.
            raise RenderError(f"{where}: {type(error).__name__} while rendering") from error

    def _render(self, command: Command, links: Links) -> Rendered:
        language, copy = self._copy(command.flow, command.locale)
        common: dict[str, Any] = {
            **self._html.globals,
            **command.context,
            "language": language,
            "shop_name": self._shop_name,
            "unsubscribe_url": links.unsubscribe,
            "pixel_url": links.pixel,
            "review_url": links.review,
            "_locale": _locale(command.locale, language, command.country),
            "_zone": command.time_zone,
        }
        say_text, say_html = self._speaker(self._text, copy, common), self._speaker(self._html, copy, common)
        if "mood" in command.context:
            common["greeting"] = self._greeting(command.context, copy, say_text, language)
        subject = _CONTROL.sub(" ", say_text(f"{command.message}.subject")).strip()
        common["subject"] = subject
        common["preview"] = say_text(f"{command.message}.preview") if f"{command.message}.preview" in copy else ""
        page = f"{self._folder(command.flow)}/{command.message}"
        html = _filled(self._html.get_template(f"{page}.html.j2"), common | {"t": say_html})
        try:
            template = self._text.get_template(f"{page}.txt.j2")
        except TemplateNotFound:
            text = get_text(html)
        else:
            text = _filled(template, common | {"t": say_text})
        return Rendered(subject, html, text.strip() + "\n")

    def _greeting(
        self, context: Mapping[str, Any], copy: Mapping[str, str], say_text: Callable[[str], str], language: str
    ) -> str | Undefined:
        """Return the greeting in the command's mood, with the first name if it is known.

        If the copy has no words for it, only a template that uses the greeting fails. A mood of a newer version is greeted plainly.
        """
        key = greeting_key(context["mood"] if context["mood"] in MOODS else "plain")
        if key not in copy:
            return self._text.undefined(_missing(key, language), name="greeting")
        first = context.get("customer", {}).get("first_name", "")
        return f"{say_text(key)} {first}" if first else say_text(key)

    def _speaker(self, environment: Sandbox, copy: Mapping[str, str], common: dict[str, Any]) -> Callable[[str], str]:
        """The `t` of a template: a text of the copy, escaped where the environment escapes."""
        is_html = bool(environment.autoescape)

        def say(key: str) -> str:
            source = copy.get(key)
            if source is None:
                raise RenderError(_missing(key, common["language"]))
            words = self._said.get((is_html, source))
            if words is None:
                words = environment.from_string(source) if "{" in source else (escape(source) if is_html else source)
                self._said[(is_html, source)] = words
            if isinstance(words, str):
                return words
            said = _filled(words, common)
            # Escaped already: it was rendered in the same autoescaping environment.
            return Markup(said) if is_html else said  # noqa: S704

        return say

    def texts(self, flow: str, language: str) -> dict[str, str]:
        """Return the texts of a flow in one language, without those of the language that stands in for a missing one.

        Raises:
            RenderError: the flow or its copy cannot be read.
        """
        return self._texts(COPY, language) | self._texts(f"{self._folder(flow)}/{COPY}", language)

    def _copy(self, flow: str, locale: str) -> tuple[str, Mapping[str, str]]:
        """The language that there is copy in, and all its texts; a text that is missing reads English."""
        found = self._copies.get((flow, locale))
        if found is None:
            language = locale.replace("_", "-").partition("-")[0].lower()
            if not (
                _LANGUAGE.match(language) and (self._dir / self._folder(flow) / COPY / f"{language}.yaml").is_file()
            ):
                language = FALLBACK
            texts: dict[str, str] = {}
            for spoken in dict.fromkeys((FALLBACK, language)):
                texts |= self.texts(flow, spoken)
            if len(self._copies) >= MOST_COPIES:
                self._copies.clear()  # a locale is whatever a customer's record says
            found = self._copies[(flow, locale)] = (language, texts)
        return found

    def _folder(self, flow: str) -> str:
        """Return the flow's folder, relative to the templates folder. A flow that was added after the start is found too."""
        if flow not in self._folders:
            folders = flow_folders(self._dir)
            self._folders = {name: path.relative_to(self._dir).as_posix() for name, path in folders.items()}
        if flow not in self._folders:
            raise RenderError(f"{flow}: there is no folder {FLOWS}/<group>/{flow}")
        return self._folders[flow]

    def _texts(self, folder: str, language: str) -> dict[str, str]:
        name = f"{folder}/{language}.yaml"
        try:
            texts = yaml.safe_load((self._dir / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}  # a text that is then missing is named where it is asked for
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RenderError(f"{name}: {error}") from error
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise RenderError(f"{name}: must be a list of `key: text` lines")
        return texts


def greeting_key(mood: str) -> str:
    """Return the key of the copy under which the words for a mood are."""
    return f"greeting.{mood}"


def _missing(key: str, language: str) -> str:
    return f"the copy has no text {key!r}; add it to copy/{language}.yaml"


def _filled(template: Template, variables: dict[str, Any]) -> str:
    # `Template.render` copies the variables and the globals each time; a mail is filled from five templates, and none changes them.
    return "".join(template.root_render_func(template.new_context(variables, shared=True)))


def _environment(loader: FileSystemLoader, autoescape: bool) -> Sandbox:
    environment = Sandbox(
        loader=loader,
        autoescape=autoescape,
        undefined=StrictUndefined,
        cache_size=-1,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({**FILTERS, **FACTS})
    return environment


@lru_cache(maxsize=1024)
def _locale(wanted: str, language: str, country: str) -> Locale:
    """How to write money and dates: in the language of the copy, and the way of the customer's region or country if it has one."""
    own = [wanted] if wanted.replace("_", "-").partition("-")[0].lower() == language else []
    regional = [name for name in own if "-" in name or "_" in name]
    for name in (*regional, f"{language}_{country}", *own, language):
        try:
            return Locale.parse(name.replace("-", "_"))
        except (UnknownLocaleError, ValueError):
            continue
    return Locale(FALLBACK)
