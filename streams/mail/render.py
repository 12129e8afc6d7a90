"""From a command to the words of a mail: sandboxed Jinja2 over the templates, in the customer's language and time zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_currency
from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from streams.core.money import major
from streams.mail.command import Command

FALLBACK = "en"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


class RenderError(RuntimeError):
    """A message that cannot be rendered: the template and what is wrong with it."""


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


class Renderer:
    """Renders commands with the templates below `templates_dir`, compiled on first use and kept.

    Raises:
        RenderError: a copy file is no mapping of texts.
    """

    def __init__(self, templates_dir: Path, shop_name: str) -> None:
        self._dir = templates_dir
        self._shop_name = shop_name
        loader = FileSystemLoader(templates_dir)
        self._html = self._environment(loader, autoescape=True)
        self._text = self._environment(loader, autoescape=False)
        self._copies: dict[tuple[str, str], tuple[str, Mapping[str, str]]] = {}

    def render(self, command: Command, links: Links) -> Rendered:
        """The words of the mail that `command` orders.

        Raises:
            RenderError: the template is missing, or asks for what the command does not hold.
        """
        language, copy = self._copy(command.flow, command.locale)
        locale = _locale(command.locale, language)
        common = {
            **command.context,
            "language": language,
            "shop_name": self._shop_name,
            "unsubscribe_url": links.unsubscribe,
            "pixel_url": links.pixel,
            "review_url": links.review,
            "_locale": locale,
            "_zone": ZoneInfo(command.time_zone),
        }
        try:
            subject = self._say(self._text, copy, f"{command.message}.subject", common)
            common["subject"] = _CONTROL.sub(" ", subject).strip()
            html = self._page(self._html, command, "html", copy, common)
            text = self._page(self._text, command, "txt", copy, common)
        except TemplateError as error:
            raise RenderError(f"{command.flow}/{command.message} ({language}): {error}") from error
        return Rendered(common["subject"], html, text)

    def _environment(self, loader: FileSystemLoader, autoescape: bool) -> ImmutableSandboxedEnvironment:
        environment = ImmutableSandboxedEnvironment(
            loader=loader, autoescape=autoescape, undefined=StrictUndefined, cache_size=-1, auto_reload=False
        )
        environment.filters["money"] = lambda value, times=1: value  # bound to the locale in _page
        environment.filters.update(money=_money, day=_day, clock=_clock)
        return environment

    def _page(
        self, environment: Any, command: Command, kind: str, copy: Mapping[str, str], common: dict[str, Any]
    ) -> str:
        template = environment.get_template(f"{command.flow}/{command.message}.{kind}.j2")
        page: str = template.render(
            common, t=lambda key: _marked(environment, self._say(environment, copy, key, common))
        )
        return page

    def _say(self, environment: Any, copy: Mapping[str, str], key: str, common: Mapping[str, Any]) -> str:
        source = copy.get(key)
        if source is None:
            raise RenderError(f"the copy has no text {key!r}; add it to copy/{common['language']}.yaml")
        if "{" not in source:
            return str(environment.from_string("{{ s }}").render(s=source)) if environment.autoescape else source
        said: str = _compiled(environment, source).render(common)
        return said

    def _copy(self, flow: str, locale: str) -> tuple[str, Mapping[str, str]]:
        key = (flow, locale)
        found = self._copies.get(key)
        if found is None:
            language = locale.partition("-")[0].lower()
            if not (self._dir / flow / "copy" / f"{language}.yaml").is_file():
                language = FALLBACK
            texts = {**self._texts(Path("copy"), language), **self._texts(Path(flow) / "copy", language)}
            found = self._copies[key] = (language, texts)
        return found

    def _texts(self, folder: Path, language: str) -> dict[str, str]:
        path = self._dir / folder / f"{language}.yaml"
        try:
            texts = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise RenderError(f"{path}: {error}") from error
        if not isinstance(texts, dict) or not all(isinstance(v, str) for v in texts.values()):
            raise RenderError(f"{path}: must be a list of `key: text` lines")
        return texts


@lru_cache(maxsize=2048)
def _compiled(environment: Any, source: str) -> Any:
    return environment.from_string(source)


def _marked(environment: Any, text: str) -> Any:
    from markupsafe import Markup

    # The text is escaped already: it was rendered in the same autoescaping environment.
    return Markup(text) if environment.autoescape else text  # noqa: S704


@lru_cache(maxsize=256)
def _locale(wanted: str, language: str) -> Locale:
    for name in (wanted, language):
        try:
            return Locale.parse(name, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale(FALLBACK)


@lru_cache(maxsize=4096)
def _amount(value: Decimal, currency: str, locale: Locale) -> str:
    return format_currency(value, currency, locale=locale)


def _with_context(function: Any) -> Any:
    from jinja2 import pass_context

    return pass_context(function)


@_with_context
def _money(context: Any, amount: Mapping[str, Any], times: int = 1) -> str:
    currency = amount["currency"]
    return _amount(major(amount["minor"] * times, currency), currency, context["_locale"])


@_with_context
def _day(context: Any, moment: str) -> str:
    return format_date(datetime.fromisoformat(moment).astimezone(context["_zone"]), "full", locale=context["_locale"])


@_with_context
def _clock(context: Any, moment: str) -> str:
    return format_time(datetime.fromisoformat(moment).astimezone(context["_zone"]), "short", locale=context["_locale"])
