"""The renderer of commands: sandboxed Jinja2 templates in the customer's language and time zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inscriptis import get_text
from jinja2 import FileSystemLoader, Template, TemplateError, TemplateNotFound, Undefined

from streams.mail.command import Command
from streams.mail.links import Links
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.environment import new_environment
from streams.mail.rendering.filters import regional_formats
from streams.mail.rendering.flow_copies import FlowCopies, FlowCopy
from streams.mail.rendering.link_functions import ContestLinks, SurveyLinks
from streams.mail.rendering.logo import Logo
from streams.mail.rendering.message_templates import MessageTemplates
from streams.mail.rendering.occasions import read_occasions
from streams.mail.rendering.render_errors import MissingMessage, RenderError
from streams.mail.rendering.salutations import key_of, moods_of
from streams.mail.rendering.sandbox import Sandbox
from streams.mail.rendering.styles import StyledLoader
from streams.mail.rendering.template_objects import LateValue, with_open_maps
from streams.mail.rendering.texts import MissingText, Translator, fill, missing_text

if TYPE_CHECKING:
    from streams.mail.rendering.documents.attachments import Attachment

#: Messages and locales whose templates and texts are remembered.
MOST_PREPARED = 10_000
#: Emails of a message in a locale before its templates are flattened. That takes 60 ms, which thousands of emails repay and a few do not.
FLAT_AFTER = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*\Z")


@dataclass(frozen=True)
class RenderedEmail:
    """The content of one email.

    Attributes:
        subject: the subject, a single line.
        html: the HTML part.
        text: the text part.
        logos: the pictures that the HTML part shows.
        from_name, reply_to: the name in the header From, and the address that answers go to; "" for those of all emails.
        attachment: the document that the email carries, or None.
    """

    subject: str
    html: str
    text: str
    logos: tuple[Logo, ...] = ()
    from_name: str = ""
    reply_to: str = ""
    attachment: Attachment | None = None


@dataclass
class _Prepared:
    """The copy and the templates of a message in one language.

    Attributes:
        page: the name of the templates, without `.html.j2`.
        copy: the texts.
        html, text: the templates of the HTML part and of the text part.
        until_flat: emails that are rendered until the templates are flattened; -1 once they are.
    """

    page: str
    copy: FlowCopy
    html: Template
    text: Template | None
    until_flat: int


class Renderer:
    """Renders commands. A template is compiled on first use and cached.

    A message without a `.txt.j2` gets its text part from its HTML part.

    Args:
        templates_dir: folder of the templates.
        brand: the shop's brand.
        is_styled: whether styles are inlined.
        is_strict: whether a text that a language lacks is an error. Otherwise it is that of the shop's default language.
        flat_after: emails of a message in a locale before its templates are flattened. With `is_strict` they never are, because a check
            reports the line of an error in the template that it is in.
    """

    def __init__(
        self,
        templates_dir: Path,
        brand: EmailBrand,
        *,
        is_styled: bool = True,
        is_strict: bool = False,
        flat_after: int = FLAT_AFTER,
    ) -> None:
        self._flat_after = -1 if is_strict else flat_after
        self._brand = brand
        self._brand_values = brand.for_templates()
        loader = StyledLoader(templates_dir, brand) if is_styled else FileSystemLoader(templates_dir)
        self._html = new_environment(loader, autoescape=True)
        self._text = new_environment(loader, autoescape=False)
        self._copies = FlowCopies(templates_dir, self._text, self._html, is_strict=is_strict)
        self._occasions = read_occasions(templates_dir)
        known = {country: {"brand": values, "shop_name": brand.name} for country, values in self._brand_values.items()}
        self._templates = MessageTemplates(self._html, self._text, known)
        #: The copies and templates by flow, message, locale and country of the brand.
        self._prepared: dict[tuple[str, str, str, str], _Prepared] = {}

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
            IncorrectDocument: the email carries a document that must not leave.
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
        country = self._brand.key(command.country)
        key = (command.flow, message, command.locale, country)
        prepared = self._prepared.get(key) or self._prepare(*key)
        if prepared.until_flat >= 0:
            self._approach_flat(prepared, country)
        copy, html_template, text_template = prepared.copy, prepared.html, prepared.text
        language = copy.language
        common: dict[str, Any] = {
            **self._html.globals,
            **with_open_maps(command.context),
            "language": language,
            "shop_name": self._brand.name,
            "shop": {"name": self._brand.name, **command.context.get("shop", {})},
            "brand": self._brand_values[country],
            "unsubscribe_url": links.unsubscribe,
            "pixel_url": links.pixel,
            "review_url": LateValue(lambda: links.review),
            "preferences_url": links.preferences,
            "reorder_url": links.reorder,
            "referral_url": links.referral,
            "confirm_url": links.confirm,
            "survey_url": SurveyLinks(links),
            "contest_url": ContestLinks(links),
            "_formats": regional_formats(command.locale, language, command.country),
            "_zone": command.time_zone,
        }
        translate = Translator(copy.plain, common, is_html=False)
        moods = moods_of(command.context, self._occasions, command.country)
        if "mood" in command.context:
            common["mood"] = moods[0]
            common["greeting"] = self._greeting(moods, command.context, copy, translate)
        common["closing"] = self._closing(moods, copy, translate)
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
        attachment = None
        if command.attach:
            # Imported here: few processes make documents, and the PDF library takes longer to import than an email to render.
            from streams.mail.rendering.documents.attachments import attachment_of

            attachment = attachment_of(command, self._brand, translate, common["_formats"], language)
        return RenderedEmail(subject, html, text.strip() + "\n", logos, sender.name, sender.reply_to, attachment)

    def _prepare(self, flow: str, message: str, locale: str, country: str) -> _Prepared:
        """Return the copy and the templates of a message for a locale, with the brand of a country.

        Raises:
            MissingMessage: the flow or the message is missing.
            RenderError: the copy cannot be read.
        """
        page = f"{self._copies.folder(flow)}/{message}"
        try:
            pair = self._templates.pair(page)
        except TemplateNotFound as error:
            raise MissingMessage(f"missing template {page}.html.j2") from error
        if len(self._prepared) >= MOST_PREPARED:
            self._prepared.clear()  # bounded, because records may contain any locale
        prepared = self._prepared[(flow, message, locale, country)] = _Prepared(
            page, self._copies.copy(flow, locale), *pair, self._flat_after
        )
        return prepared

    def _approach_flat(self, prepared: _Prepared, country: str) -> None:
        """Count an email, and flatten the templates once there were enough."""
        if prepared.until_flat == 0:
            prepared.html, prepared.text = self._templates.flat_pair(prepared.page, prepared.copy, country)
        prepared.until_flat -= 1

    def _greeting(
        self, moods: tuple[str, ...], context: Mapping[str, Any], copy: FlowCopy, translate: Translator
    ) -> str | Undefined:
        """Return the greeting for the moods of the command, with the first name if it is known.

        If the copy lacks the greeting, only a template that uses it fails.
        """
        key = key_of("greeting", moods, copy.sources)
        if key not in copy.sources:
            return self._text.undefined(missing_text(key, copy.language), name="greeting")
        first_name = context.get("customer", {}).get("first_name", "")
        return f"{translate(key)} {first_name}" if first_name else translate(key)

    def _closing(self, moods: tuple[str, ...], copy: FlowCopy, translate: Translator) -> str | Undefined:
        """Return the words before the shop's name at the end. Copies of earlier versions have only `regards`."""
        key = key_of("closing", moods, copy.sources)
        for name in (key, "regards"):
            if name in copy.sources:
                return translate(name)
        return self._text.undefined(missing_text(key, copy.language), name="closing")

    def texts(self, flow: str, language: str) -> dict[str, str]:
        """Return the texts of a flow in one language, without those of other languages.

        Raises:
            RenderError: the flow or its copy cannot be read.
        """
        return self._copies.texts(flow, language)
