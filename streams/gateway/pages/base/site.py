"""The site: templates, copy and brand of the pages, read once for each templates folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from email.utils import parseaddr
from html import unescape
from pathlib import Path
from typing import Any

import yaml
from jinja2 import ChoiceLoader, FileSystemLoader, TemplateError

from streams.definitions.loader import load_brand
from streams.mail.rendering.brand import Brand
from streams.mail.rendering.copy import InvalidCopy, copy_texts
from streams.mail.rendering.environment import new_environment
from streams.mail.rendering.filters import regional_formats
from streams.mail.rendering.languages import language_chain
from streams.mail.rendering.template_folders import COPY, SHARED
from streams.mail.rendering.texts import Texts, Translator, fill
from streams.settings import PROJECT_ROOT, Settings

#: The languages of the pages, with their names in themselves.
LANGUAGES: Mapping[str, str] = {
    "da": "Dansk",
    "nb": "Norsk",
    "sv": "Svenska",
    "nl": "Nederlands",
    "en": "English",
}
#: The language whose texts stand in for missing ones.
FALLBACK = "en"
#: The folder of the pages' templates, and the name of the copy files.
PAGES, COPY_FILE = f"{SHARED}/pages", "pages.yaml"
_TAKK = PROJECT_ROOT / "templates"
_LOGO_TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}


#: The sites in use, by the shop's templates folder and name. A process has one; tests have several.
_sites: dict[tuple[Path, str], Site] = {}
_MOST_SITES = 8


class InvalidPages(ValueError):
    """Templates or copy of the pages that cannot be read. The text names the file."""


class Site:
    """The templates, the copy and the brand of the pages. Files that a shop's folder lacks are those of Takk.

    The brand is the exception: without a file, pages have only a name.

    Args:
        templates_dir: the shop's templates folder.
        shop_name: the name of a shop without `shared/brand.yaml`.

    Raises:
        FlowFileError: `shared/brand.yaml` contains errors.
        InvalidPages: a template, the style sheet, the logo or a copy file cannot be read.
    """

    def __init__(self, templates_dir: Path, shop_name: str) -> None:
        self.brand = load_brand(templates_dir) or Brand(name=shop_name)
        folders = list(dict.fromkeys([templates_dir, _TAKK]))
        loader = ChoiceLoader([FileSystemLoader(folder / PAGES) for folder in folders])
        self._environment = new_environment(loader, autoescape=True)
        fallback = _copy(folders, FALLBACK)
        self._texts: dict[str, Mapping[str, str]] = {
            language: fallback | _copy(folders, language) for language in LANGUAGES
        }
        compiled: dict[str, Any] = {}
        self._copies = {
            language: Texts(self._environment, texts, language, compiled) for language, texts in self._texts.items()
        }
        name = ""
        try:
            for name in self._environment.list_templates():
                self._environment.get_template(name)
            name = "pages.css.j2"
            self.styles = self._fill(name, {"brand": self.brand, "colors": self.brand.colors.palette()}).encode()
        except (TemplateError, OSError, UnicodeDecodeError) as error:
            raise InvalidPages(f"{PAGES}/{name}: {error}") from error
        self.logo, self.logo_type = self._read_logo(templates_dir)
        self.styles_version = hashlib.sha256(self.styles + self.logo).hexdigest()[:12]

    def has_text(self, key: str, language: str) -> bool:
        """Return whether the copy of a language, or of the fallback, has a text."""
        return key in self._texts[language]

    def text(self, key: str, language: str, values: Mapping[str, Any]) -> str:
        """Return a text of the copy without markup, as evidence of what a customer read."""
        return unescape(self._translator(language, dict(values))(key))

    def render(
        self, template: str, language: str, values: Mapping[str, Any], *, locale: str = "", country: str = ""
    ) -> str:
        """Return a page.

        Args:
            template: its name in the folder of the pages.
            language: one of LANGUAGES.
            values: the names that the template uses.
            locale, country: those of the customer, by which money is written as in the emails.
        """
        variables: dict[str, Any] = {
            "brand": self.brand,
            "shop": self.brand.name,
            "language": language,
            "languages": LANGUAGES,
            "styles_version": self.styles_version,
            "has_logo": bool(self.logo),
            "error": "",
            "errors": {},
            "_formats": regional_formats(locale, language, country),
            **values,
        }
        variables["t"] = self._translator(language, variables)
        return self._fill(template, variables)

    def _translator(self, language: str, values: dict[str, Any]) -> Translator:
        variables = {**self._environment.globals, "shop": self.brand.name, "brand": self.brand, **values}
        return Translator(self._copies[language], variables, is_html=True)

    def _fill(self, template: str, values: Mapping[str, Any]) -> str:
        self._environment.start()
        return fill(self._environment.get_template(template), {**self._environment.globals, **values})

    def _read_logo(self, templates_dir: Path) -> tuple[bytes, str]:
        path = templates_dir / SHARED / self.brand.logo
        if not self.brand.logo or not path.is_file():
            return b"", ""
        try:
            return path.read_bytes(), _LOGO_TYPES[path.suffix]
        except OSError as error:
            raise InvalidPages(f"cannot read {path}: {error.strerror} (check its permissions)") from error


def site_of(settings: Settings) -> Site:
    """Return the site of a process, which is read at the first call, unless `use_site` gave it one."""
    key = _key_of(settings)
    if key not in _sites:
        use_site(settings, new_site(settings, settings.templates_dir))
    return _sites[key]


def new_site(settings: Settings, templates_dir: Path) -> Site:
    """Return a site that is not in use, of a templates folder or a copy of it. It raises what `Site` raises."""
    return Site(templates_dir, _key_of(settings)[1])


def use_site(settings: Settings, site: Site) -> None:
    """Use a site from now on for these settings. A request that has begun keeps the one that it has."""
    if len(_sites) >= _MOST_SITES:
        _sites.pop(next(iter(_sites)))
    _sites[_key_of(settings)] = site


def _key_of(settings: Settings) -> tuple[Path, str]:
    name, address = parseaddr(settings.mail_from)
    return settings.templates_dir, name or address


def page_language(*wanted: str) -> str:
    """Return the first of the languages of the pages that one of the locales is read in, the first locale first."""
    for locale in wanted:
        found = next((language for language in language_chain(locale) if language in LANGUAGES), None)
        if found:
            return found
    return FALLBACK


def accepted(header: str) -> list[str]:
    """Return the locales of a header Accept-Language, the most wanted first."""
    found: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        locale, _, weight = part.strip().partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight.strip().startswith("q=") else 1.0
        except ValueError:
            quality = 0.0
        if locale and locale != "*" and quality > 0:
            found.append((-quality, locale))
    return [locale for _, locale in sorted(found, key=lambda item: item[0])]


def _copy(folders: list[Path], language: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    for folder in reversed(folders):
        path = folder / COPY / language / COPY_FILE
        try:
            texts |= copy_texts(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, yaml.YAMLError, InvalidCopy) as error:
            raise InvalidPages(f"{path}: {error}") from error
    return texts
