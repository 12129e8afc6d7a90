"""The renderer of commands: sandboxed Jinja2 templates in the customer's language and time zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from babel import Locale, UnknownLocaleError
from inscriptis import get_text
from jinja2 import FileSystemLoader, Template, TemplateError, TemplateNotFound, Undefined

from streams.core.sending.greeting import MOODS
from streams.mail.command import Command
from streams.mail.links import Links
from streams.mail.rendering.copy import InvalidCopy, copy_texts
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.environment import new_environment
from streams.mail.rendering.filters import Formats, formats_of
from streams.mail.rendering.languages import USUAL_DEFAULT, language_chain, read_languages
from streams.mail.rendering.link_functions import ContestLinks, SurveyLinks
from streams.mail.rendering.logo import Logo
from streams.mail.rendering.sandbox import Sandbox
from streams.mail.rendering.styles import StyledLoader
from streams.mail.rendering.template_folders import COPY, FLOWS, flow_folders
from streams.mail.rendering.template_objects import LateValue, with_open_maps
from streams.mail.rendering.texts import MissingText, Texts, Translator, fill, missing_text

#: Pairs of a flow and a locale whose texts are cached.
MOST_COPIES = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*\Z")


class RenderError(RuntimeError):
    """A message that cannot be rendered. The text names the template and the error, without customer data."""


class MissingMessage(RenderError):
    """A message or a flow that the templates do not have. Newer templates may have it."""


@dataclass(frozen=True)
class RenderedEmail:
    """The content of one email.

    Attributes:
        subject: the subject, a single line.
        html: the HTML part.
        text: the text part.
        logos: the pictures that the HTML part shows.
        from_name, reply_to: the name in the header From, and the address that answers go to; "" for those of all emails.
    """

    subject: str
    html: str
    text: str
    logos: tuple[Logo, ...] = ()
    from_name: str = ""
    reply_to: str = ""


@dataclass(frozen=True)
class _Copy:
    """The copy of a flow in one language.

    Attributes:
        language: the language.
        sources: the texts by key.
        plain, html: the texts for subjects and text parts, and for HTML parts.
    """

    language: str
    sources: Mapping[str, str]
    plain: Texts
    html: Texts


class Renderer:
    """Renders commands. A template is compiled on first use and cached.

    A message without a `.txt.j2` gets its text part from its HTML part.

    Args:
        templates_dir: folder of the templates.
        brand: the shop's brand.
        is_styled: whether styles are inlined.
        is_strict: whether a text that a language lacks is an error. Otherwise it is that of the shop's default language.
    """

    def __init__(
        self, templates_dir: Path, brand: EmailBrand, *, is_styled: bool = True, is_strict: bool = False
    ) -> None:
        self._dir = templates_dir
        self._is_strict = is_strict
        self._languages = read_languages(templates_dir)
        #: The folder of each flow, relative to the templates folder.
        self._folders: dict[str, str] = {}
        self._brand = brand
        self._brand_values = brand.for_templates()
        loader = StyledLoader(templates_dir, brand) if is_styled else FileSystemLoader(templates_dir)
        self._html = new_environment(loader, autoescape=True)
        self._text = new_environment(loader, autoescape=False)
        #: The templates of each message.
        self._messages: dict[tuple[str, str], tuple[Template, Template | None]] = {}
        self._copies: dict[tuple[str, str], _Copy] = {}
        self._compiled_texts: dict[Sandbox, dict[str, str | Template]] = {self._text: {}, self._html: {}}

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
            MissingMessage: the flow or the message is missing.
            RenderError: the template is invalid, or uses data that the command lacks.
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
        except MissingText as error:
            raise RenderError(str(error)) from error
        except TemplateNotFound as error:
            raise RenderError(f"{location}: missing template {error.name}") from error
        except TemplateError as error:
            raise RenderError(f"{location}: {error.message}") from error
        except Exception as error:
            # An error that a command's data causes in a filter or in a template must not affect other emails.
            raise RenderError(f"{location}: {type(error).__name__} while rendering") from error

    def _render(self, command: Command, links: Links) -> RenderedEmail:
        message = command.message
        html_template, text_template = self._templates(command.flow, message)
        copy = self._copy(command.flow, command.locale)
        language = copy.language
        common: dict[str, Any] = {
            **self._html.globals,
            **with_open_maps(command.context),
            "language": language,
            "shop_name": self._brand.name,
            "brand": self._brand_values[self._brand.key(command.country)],
            "unsubscribe_url": links.unsubscribe,
            "pixel_url": links.pixel,
            "review_url": LateValue(lambda: links.review),
            "preferences_url": links.preferences,
            "reorder_url": links.reorder,
            "referral_url": links.referral,
            "confirm_url": links.confirm,
            "survey_url": SurveyLinks(links),
            "contest_url": ContestLinks(links),
            "_formats": _formats(command.locale, language, command.country),
            "_zone": command.time_zone,
        }
        translate = Translator(copy.plain, common, is_html=False)
        if "mood" in command.context:
            common["greeting"] = self._greeting(command.context, copy, translate)
        common["closing"] = self._closing(command.context.get("mood"), copy, translate)
        subject = translate(f"{message}.subject")
        if not subject.isprintable():
            subject = _CONTROL.sub(" ", subject)
        common["subject"] = subject = subject.strip()
        common["preview"] = translate(f"{message}.preview") if f"{message}.preview" in copy.sources else ""
        common["headline"] = translate(f"{message}.headline") if f"{message}.headline" in copy.sources else subject
        html = fill(html_template, common | {"t": Translator(copy.html, common, is_html=True)})
        text = get_text(html) if text_template is None else fill(text_template, common | {"t": translate})
        # A shop's own layout may do without a picture.
        logos = tuple([logo for logo in self._brand.logos if logo.content_id in html])
        sender = self._brand.sender(command.purpose, command.country)
        return RenderedEmail(subject, html, text.strip() + "\n", logos, sender.name, sender.reply_to)

    def _templates(self, flow: str, message: str) -> tuple[Template, Template | None]:
        """Return the templates of the HTML part and of the text part. The text part may have none.

        Raises:
            MissingMessage: the flow or the message is missing.
        """
        found = self._messages.get((flow, message))
        if found is None:
            page = f"{self._folder(flow)}/{message}"
            try:
                html = self._html.get_template(f"{page}.html.j2")
            except TemplateNotFound as error:
                raise MissingMessage(f"missing template {page}.html.j2") from error
            try:
                found = (html, self._text.get_template(f"{page}.txt.j2"))
            except TemplateNotFound:
                found = (html, None)
            self._messages[(flow, message)] = found
        return found

    def _greeting(self, context: Mapping[str, Any], copy: _Copy, translate: Translator) -> str | Undefined:
        """Return the greeting of the command's mood, with the first name if it is known.

        If the copy lacks the greeting, only a template that uses it fails. The mood of a newer version is replaced by `plain`.
        """
        key = greeting_key(context["mood"])
        if key not in copy.sources:
            return self._text.undefined(missing_text(key, copy.language), name="greeting")
        first_name = context.get("customer", {}).get("first_name", "")
        return f"{translate(key)} {first_name}" if first_name else translate(key)

    def _closing(self, mood: Any, copy: _Copy, translate: Translator) -> str | Undefined:
        """Return the words before the shop's name at the end. Copies of earlier versions have only `regards`."""
        for name in (closing_key(mood), closing_key("plain"), "regards"):
            if name in copy.sources:
                return translate(name)
        return self._text.undefined(missing_text(closing_key(mood), copy.language), name="closing")

    def texts(self, flow: str, language: str) -> dict[str, str]:
        """Return the texts of a flow in one language, without those of other languages.

        Raises:
            RenderError: the flow or its copy cannot be read.
        """
        return {**self._texts(COPY, language), **self._texts(f"{self._folder(flow)}/{COPY}", language)}

    def _copy(self, flow: str, locale: str) -> _Copy:
        """Return the copy of a flow for a locale, in the best language of the flow (`language_chain`), else the shop's default.

        A missing text is taken from the next language of the chain, and then from the default.
        """
        copy = self._copies.get((flow, locale))
        if copy is None:
            chain, folder = language_chain(locale), self._dir / self._folder(flow) / COPY
            languages = self._languages
            language = next(
                (name for name in chain if languages.is_offered(name) and (folder / f"{name}.yaml").is_file()), ""
            )
            if not language:
                language = languages.default
                chain = (language, *language_chain(language))
            texts: dict[str, str] = {}
            for name in reversed(dict.fromkeys(chain if self._is_strict else [*chain, languages.default])):
                texts |= self.texts(flow, name)
            if len(self._copies) >= MOST_COPIES:
                self._copies.clear()  # bounded, because records may contain any locale
            plain, html = (
                Texts(environment, texts, language, compiled) for environment, compiled in self._compiled_texts.items()
            )
            copy = self._copies[(flow, locale)] = _Copy(language, texts, plain, html)
        return copy

    def _folder(self, flow: str) -> str:
        """Return the flow's folder, relative to the templates folder. A flow that was added after the start is found too."""
        if flow not in self._folders:
            folders = flow_folders(self._dir)
            self._folders = {name: path.relative_to(self._dir).as_posix() for name, path in folders.items()}
        if flow not in self._folders:
            raise MissingMessage(f"missing folder {FLOWS}/<group>/{flow}")
        return self._folders[flow]

    def _texts(self, folder: str, language: str) -> Mapping[str, str]:
        name = f"{folder}/{language}.yaml"
        try:
            return copy_texts((self._dir / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}  # a missing text is reported where it is used
        except (OSError, UnicodeDecodeError, yaml.YAMLError, InvalidCopy) as error:
            raise RenderError(f"{name}: {error}") from error


def greeting_key(mood: object) -> str:
    """Return the copy's key of the greeting for a mood. An unknown one is plain."""
    return f"greeting.{mood if mood in MOODS else 'plain'}"


def closing_key(mood: object) -> str:
    """Return the copy's key of the closing for a mood. An unknown one is plain."""
    return f"closing.{mood if mood in MOODS else 'plain'}"


@lru_cache(maxsize=1024)
def _formats(requested: str, language: str, country: str) -> Formats:
    """Return the formats of money and dates: the copy's language, in the customer's region or country if that locale exists."""
    own = [requested] if language in language_chain(requested) else []
    regional = [name for name in own if "-" in name or "_" in name]
    base = language.partition("-")[0]
    for name in (*regional, f"{base}_{country}", *own, language, base):
        try:
            return formats_of(Locale.parse(name.replace("-", "_")))
        except (UnknownLocaleError, ValueError):
            continue
    return formats_of(Locale(USUAL_DEFAULT))
