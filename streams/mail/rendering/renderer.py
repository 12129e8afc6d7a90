"""The renderer of commands: sandboxed Jinja2 templates in the customer's language and time zone."""

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
from markupsafe import Markup, escape

from streams.core.sending.greeting import MOODS
from streams.mail.command import Command
from streams.mail.links import Links
from streams.mail.rendering.copy import InvalidCopy, copy_texts
from streams.mail.rendering.filters import FILTERS
from streams.mail.rendering.sandbox import Sandbox
from streams.mail.rendering.structured_data import STRUCTURED_DATA
from streams.mail.rendering.styles import StyledLoader
from streams.mail.rendering.template_folders import COPY, FLOWS, flow_folders
from streams.mail.rendering.template_limits import MAX_OUTPUT, LimitExceeded

#: Language of a text that the customer's language lacks.
FALLBACK = "en"
#: Prefix of the file name of a compiled text, before its key.
COPY_TEXT = "copy:"
#: Pairs of a flow and a locale whose texts are cached.
MOST_COPIES = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*\Z")
_LANGUAGE = re.compile(r"[a-z]{2,3}\Z")


class RenderError(RuntimeError):
    """A message that cannot be rendered. The text names the template and the error, without customer data."""


@dataclass(frozen=True)
class RenderedEmail:
    """The content of one email.

    Attributes:
        subject: the subject, a single line.
        html: the HTML part.
        text: the text part.
    """

    subject: str
    html: str
    text: str


class Renderer:
    """Renders commands. A template is compiled on first use and cached.

    A message without a `.txt.j2` gets its text part from its HTML part.

    Args:
        templates_dir: folder of the templates.
        shop_name: the shop's name, for the templates.
        is_styled: whether styles are inlined.
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
        #: (is HTML, source of a text) -> the text, or a compiled template if the source has expressions.
        self._compiled_texts: dict[tuple[bool, str], str | Template] = {}

    @property
    def environment(self) -> Sandbox:
        """The environment of HTML templates."""
        return self._html

    def render(self, command: Command, links: Links) -> RenderedEmail:
        """Render the email of a command.

        Args:
            command: the command.
            links: the links of the email.

        Raises:
            RenderError: the template is missing or invalid, or uses data that the command lacks.
        """
        location = f"{command.flow}/{command.message}"
        if not (_FOLDER.match(command.flow) and _FOLDER.match(command.message)):
            raise RenderError("the name of the flow or the message is not a valid folder or file name")
        self._html.start()
        self._text.start()
        try:
            return self._render(command, links)
        except RenderError:
            raise
        except TemplateNotFound as error:
            raise RenderError(f"{location}: missing template {error.name}") from error
        except TemplateError as error:
            raise RenderError(f"{location}: {error.message}") from error
        except Exception as error:
            # An error that a command's data causes in a filter or in a template must not affect other emails.
            raise RenderError(f"{location}: {type(error).__name__} while rendering") from error

    def _render(self, command: Command, links: Links) -> RenderedEmail:
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
        translate_text, translate_html = (
            self._translator(self._text, copy, common),
            self._translator(self._html, copy, common),
        )
        if "mood" in command.context:
            common["greeting"] = self._greeting(command.context, copy, translate_text, language)
        subject = _CONTROL.sub(" ", translate_text(f"{command.message}.subject")).strip()
        common["subject"] = subject
        common["preview"] = translate_text(f"{command.message}.preview") if f"{command.message}.preview" in copy else ""
        page = f"{self._folder(command.flow)}/{command.message}"
        html = _fill(self._html.get_template(f"{page}.html.j2"), common | {"t": translate_html})
        try:
            template = self._text.get_template(f"{page}.txt.j2")
        except TemplateNotFound:
            text = get_text(html)
        else:
            text = _fill(template, common | {"t": translate_text})
        return RenderedEmail(subject, html, text.strip() + "\n")

    def _greeting(
        self, context: Mapping[str, Any], copy: Mapping[str, str], translate_text: Callable[[str], str], language: str
    ) -> str | Undefined:
        """Return the greeting of the command's mood, with the first name if it is known.

        If the copy lacks the greeting, only a template that uses it fails. The mood of a newer version is replaced by `plain`.
        """
        key = greeting_key(context["mood"] if context["mood"] in MOODS else "plain")
        if key not in copy:
            return self._text.undefined(_missing(key, language), name="greeting")
        first_name = context.get("customer", {}).get("first_name", "")
        return f"{translate_text(key)} {first_name}" if first_name else translate_text(key)

    def _translator(
        self, environment: Sandbox, copy: Mapping[str, str], common: dict[str, Any]
    ) -> Callable[[str], str]:
        """Return the function `t` of templates, which returns a text of the copy, escaped if the environment escapes."""
        is_html = bool(environment.autoescape)

        def translate(key: str) -> str:
            source = copy.get(key)
            if source is None:
                raise RenderError(_missing(key, common["language"]))
            text = self._compiled_texts.get((is_html, source))
            if text is None:
                plain = escape(source) if is_html else source
                text = _text_template(environment, key, source) if "{" in source else plain
                self._compiled_texts[(is_html, source)] = text
            if isinstance(text, str):
                return text
            filled = _fill(text, common)
            # Already escaped: it was rendered in the same autoescaping environment.
            return Markup(filled) if is_html else filled  # noqa: S704

        return translate

    def texts(self, flow: str, language: str) -> dict[str, str]:
        """Return the texts of a flow in one language, without those of the fallback language.

        Raises:
            RenderError: the flow or its copy cannot be read.
        """
        return self._texts(COPY, language) | self._texts(f"{self._folder(flow)}/{COPY}", language)

    def _copy(self, flow: str, locale: str) -> tuple[str, Mapping[str, str]]:
        """Return the language of the copy for a locale, and all texts. A missing text is replaced by the fallback language's."""
        copy = self._copies.get((flow, locale))
        if copy is None:
            language = locale.replace("_", "-").partition("-")[0].lower()
            if not (
                _LANGUAGE.match(language) and (self._dir / self._folder(flow) / COPY / f"{language}.yaml").is_file()
            ):
                language = FALLBACK
            texts: dict[str, str] = {}
            for name in dict.fromkeys((FALLBACK, language)):
                texts |= self.texts(flow, name)
            if len(self._copies) >= MOST_COPIES:
                self._copies.clear()  # bounded, because records may contain any locale
            copy = self._copies[(flow, locale)] = (language, texts)
        return copy

    def _folder(self, flow: str) -> str:
        """Return the flow's folder, relative to the templates folder. A flow that was added after the start is found too."""
        if flow not in self._folders:
            folders = flow_folders(self._dir)
            self._folders = {name: path.relative_to(self._dir).as_posix() for name, path in folders.items()}
        if flow not in self._folders:
            raise RenderError(f"{flow}: missing folder {FLOWS}/<group>/{flow}")
        return self._folders[flow]

    def _texts(self, folder: str, language: str) -> dict[str, str]:
        name = f"{folder}/{language}.yaml"
        try:
            return copy_texts((self._dir / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}  # a missing text is reported where it is used
        except (OSError, UnicodeDecodeError, yaml.YAMLError, InvalidCopy) as error:
            raise RenderError(f"{name}: {error}") from error


def greeting_key(mood: str) -> str:
    """Return the copy's key of the greeting for a mood."""
    return f"greeting.{mood}"


def _missing(key: str, language: str) -> str:
    return f"the copy has no text {key!r}; add it to copy/{language}.yaml"


def _text_template(environment: Sandbox, key: str, source: str) -> Template:
    """Return the compiled text `key` of the copy. In errors the key is the file name, so that a check can report the text's own line."""
    code = environment.compile(source, filename=f"{COPY_TEXT}{key}")
    return environment.template_class.from_code(environment, code, environment.make_globals(None))


def _fill(template: Template, variables: dict[str, Any]) -> str:
    # `Template.render` would copy the variables and the globals each time. An email is filled from five templates; none changes them.
    pieces, left = [], MAX_OUTPUT
    for piece in template.root_render_func(template.new_context(variables, shared=True)):
        left -= len(piece)
        if left < 0:
            raise LimitExceeded(f"the message has more than {MAX_OUTPUT:,} characters; write less in loops")
        pieces.append(piece)
    return "".join(pieces)


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
    environment.filters.update({**FILTERS, **STRUCTURED_DATA})
    return environment


@lru_cache(maxsize=1024)
def _locale(requested: str, language: str, country: str) -> Locale:
    """Return the locale of money and dates: the copy's language, in the customer's region or country if that locale exists."""
    own = [requested] if requested.replace("_", "-").partition("-")[0].lower() == language else []
    regional = [name for name in own if "-" in name or "_" in name]
    for name in (*regional, f"{language}_{country}", *own, language):
        try:
            return Locale.parse(name.replace("-", "_"))
        except (UnknownLocaleError, ValueError):
            continue
    return Locale(FALLBACK)
