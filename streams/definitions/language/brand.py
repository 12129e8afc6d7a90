"""Reads brand.yaml into a brand, or reports every problem at its line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import yaml
from msgspec.structs import replace

from streams.addresses import parse_address
from streams.core.rules.consent_policy import PURPOSES
from streams.core.values.text import FIELD_NAME
from streams.definitions.language.consent import COUNTRIES
from streams.definitions.language.yaml_reader import Reader, empty, read_yaml
from streams.definitions.problems import Problem
from streams.mail.rendering.brand import (
    ANY_COUNTRY,
    REVIEW_SITES,
    SOCIAL_SITES,
    Brand,
    Colors,
    Destination,
    Details,
    Fonts,
    KindSender,
)
from streams.mail.rendering.contrast import readable

#: The keys of the details of the shop, which a country may have of its own, by their kind.
_URLS = ("shop_url", "privacy_url", "terms_url", "withdrawal_url", "help_url", "cart_url")
_LINES = ("company", "address", "registration", "vat", "phone", "hours")
_DETAILS = (*_URLS, *_LINES, "email", "legal", "social", "senders")
#: The keys that emails show, and those of the pages only.
_EMAIL_KEYS = ("name", "logo", "logo_dark", "colors", "fonts", "radius", *_DETAILS, "countries", "reviews")
_PAGE_KEYS = ("notice", "dates", "cart", "referral")
_KEYS = (*_EMAIL_KEYS, *_PAGE_KEYS)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}\Z")
#: A list of fonts. Nothing in it can end a declaration of CSS.
_FONTS = re.compile(r"[A-Za-z0-9 ,'\"\-]{1,200}\Z")
_LOGO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*\.(svg|png|jpg|jpeg|webp)\Z")
#: The contrast of an accent that is derived for dark mode.
_DERIVED_CONTRAST = 6.0
#: A placeholder, or a brace that belongs to none.
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")
_MAX_LINES, _MAX_CHARS = 6, 200
_MOST_RADIUS = 32


def parse_brand(text: str) -> Brand | list[Problem]:
    """Return the brand in `text`, or all problems in it."""
    return read_yaml(text, _BrandReader(), _BrandReader.brand)


def parse_email_brand(text: str) -> Brand | list[Problem]:
    """Return the brand in `text` as emails need it, or all problems that concern emails. The values of pages are the usual ones."""
    return read_yaml(text, _BrandReader(), lambda reader, root: reader.brand(_without_pages(root)))


def _without_pages(root: yaml.Node | None) -> yaml.Node | None:
    """Return the root of a brand without the keys that only pages show."""
    if not isinstance(root, yaml.MappingNode):
        return root
    pairs = [(key, value) for key, value in root.value if not _is_of_pages(key)]
    return yaml.MappingNode(root.tag, pairs, root.start_mark, root.end_mark)


def _is_of_pages(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value in _PAGE_KEYS


class _BrandReader(Reader):
    def brand(self, root: yaml.Node | None) -> Brand:
        """Return the brand. Only the name is required."""
        values = self.mapping(empty("brand.yaml") if root is None else root, _KEYS, ("name",))
        details = self.details(values)
        return Brand(
            **details,
            name=self.line(values["name"]) if "name" in values else "",
            logo=self.logo(values.get("logo")),
            logo_dark=self.logo(values.get("logo_dark")),
            colors=self.colors(values.get("colors")),
            fonts=self.fonts(values.get("fonts")),
            radius=self.number(values["radius"], 0, _MOST_RADIUS) if "radius" in values else Brand(name="").radius,
            countries=self.countries(values.get("countries"), details),
            notice=self.line(values["notice"]) if "notice" in values else Brand(name="").notice,
            dates=self.dates(values.get("dates")),
            reviews=self.reviews(values.get("reviews")),
            cart=self.address(values.get("cart"), "items"),
            referral=self.address(values.get("referral"), "code"),
        )

    def details(self, values: Mapping[str, yaml.Node]) -> dict[str, Any]:
        """Return the details among the values of a brand, or of one of its countries."""
        found: dict[str, Any] = {name: self.url(values[name]) for name in _URLS if name in values}
        found |= {name: self.line(values[name]) for name in _LINES if name in values}
        if "email" in values:
            found["email"] = self.email(values["email"])
        if "legal" in values:
            found["legal"] = self.lines(values["legal"])
        if "social" in values:
            sites = self.mapping(values["social"], tuple(SOCIAL_SITES))
            found["social"] = {site: self.url(url) for site, url in sites.items()}
        if "senders" in values:
            purposes = self.mapping(values["senders"], PURPOSES)
            found["senders"] = {name: self.sender(node) for name, node in purposes.items()}
        return found

    def sender(self, node: yaml.Node) -> KindSender:
        """Return the sender of the emails of a purpose."""
        values = self.mapping(node, KindSender.__struct_fields__)
        name, reply_to = values.get("name"), values.get("reply_to")
        return KindSender(
            self.line(name) if name is not None else "", self.email(reply_to) if reply_to is not None else ""
        )

    def email(self, node: yaml.Node) -> str:
        """Return the address of a mailbox."""
        value = self.filled(node)
        if value and parse_address(value) != value:
            self.error("brand.E010", node, f"invalid email address {value!r}", "write it as help@shop.example")
        return value

    def countries(self, node: yaml.Node | None, common: Mapping[str, Any]) -> Mapping[str, Details]:
        """Return the details by country, completed with those of all countries."""
        found: dict[str, Details] = {}
        for key, country, value in self.pairs(node, "DK: {phone: …}") if node is not None else []:
            if country not in COUNTRIES:
                self.error("brand.E008", key, f"unknown country {country!r}", "use two letters of ISO 3166-1")
            found[country] = Details(**{**common, **self.details(self.mapping(value, _DETAILS))})
        return MappingProxyType(found)

    def fonts(self, node: yaml.Node | None) -> Fonts:
        """Return the fonts of emails."""
        values = self.mapping(node, Fonts.__struct_fields__) if node is not None else {}
        found: dict[str, str] = {}
        for name, value in values.items():
            fonts = self.filled(value)
            if not _FONTS.match(fonts):
                hint = 'write a list of fonts, for example Georgia, "Times New Roman", serif'
                self.error("brand.E011", value, f"invalid fonts {fonts!r}", hint)
                continue
            found[name] = fonts
        return Fonts(**found)

    def line(self, node: yaml.Node) -> str:
        """Return a text of one line."""
        value = self.filled(node)
        if len(value) > _MAX_CHARS or not value.isprintable():
            self.error("brand.E001", node, "invalid text", f"use one line of at most {_MAX_CHARS} characters")
        return value

    def lines(self, node: yaml.Node | None) -> tuple[str, ...]:
        """Return the lines at the foot of pages and emails."""
        items = self.items(node, "lines") if node is not None else []
        if node is not None and len(items) > _MAX_LINES:
            self.error("brand.E001", node, f"{len(items)} lines", f"use at most {_MAX_LINES}")
        return tuple([self.line(item) for item in items])

    def url(self, node: yaml.Node | None) -> str:
        """Return an address with https, or "" without a node."""
        if node is None:
            return ""
        value = self.filled(node)
        if value and not _is_https(value):
            self.error("brand.E002", node, f"invalid address {value!r}", "use an address such as https://shop.example/")
        return value

    def address(self, node: yaml.Node | None, name: str) -> str:
        """Return the template of an address that has `{name}` once, behind its host."""
        value = self.url(node)
        if node is not None and value:
            placeholder = f"{{{name}}}"
            try:
                host = urlsplit(value).netloc
            except ValueError:
                host = "{"
            if value.count(placeholder) != 1 or placeholder in host:
                hint = f"write {placeholder} once, for example https://shop.example/path?{name}={placeholder}"
                self.error("brand.E003", node, f"expected {placeholder} in the address", hint)
            elif (other := _BRACES.search(value.replace(placeholder, ""))) is not None:
                # A doubled brace does not stand for one brace, as it does in other templates.
                hint = f"leave it out: only {placeholder} is replaced, and customers would see the rest"
                self.error("brand.E003", node, f"unknown placeholder {other[0]!r} in the address", hint)
        return value

    def logo(self, node: yaml.Node | None) -> str:
        """Return the file name of the logo, or ""."""
        if node is None:
            return ""
        value = self.filled(node)
        if value and not _LOGO.match(value):
            hint = "name a file in the same folder that ends with .svg, .png, .jpg or .webp"
            self.error("brand.E004", node, f"invalid file name {value!r}", hint)
        return value

    def colors(self, node: yaml.Node | None) -> Colors:
        """Return the colors. The accent of dark mode is derived if only the other one is given."""
        usual = Colors()
        if node is None:
            return usual
        values = self.mapping(node, Colors.__struct_fields__)
        known = {name: self.color(value, getattr(usual, name)) for name, value in values.items()}
        colors = Colors(**known)
        if "accent" in known and "accent_dark" not in known and colors.accent != usual.accent:
            behind = (colors.background_dark, colors.card_dark)
            colors = replace(
                colors, accent_dark=readable(colors.accent, behind, is_lighter=True, least=_DERIVED_CONTRAST)
            )
        return colors

    def color(self, node: yaml.Node, usual: str) -> str:
        """Return a color."""
        value = self.text(node)
        if _COLOR.match(value):
            return value.lower()
        self.error("brand.E006", node, f"invalid color {value!r}", 'use six digits, for example "#2f5d50"')
        return usual

    def dates(self, node: yaml.Node | None) -> tuple[str, ...]:
        """Return the names of dates."""
        names: list[str] = []
        for item in self.items(node, "names") if node is not None else []:
            name = self.text(item)
            if not FIELD_NAME.match(name):
                hint = "use lowercase letters, digits and underscores, starting with a letter"
                self.error("brand.E007", item, f"invalid date name {name!r}", hint)
            names.append(name)
        return tuple(dict.fromkeys(names))

    def reviews(self, node: yaml.Node | None) -> Mapping[str, tuple[Destination, ...]]:
        """Return the places for reviews by country."""
        found: dict[str, tuple[Destination, ...]] = {}
        for key, country, value in self.pairs(node, "DK: {trustpilot: …}") if node is not None else []:
            if country != ANY_COUNTRY and country not in COUNTRIES:
                hint = f'use two letters of ISO 3166-1, or "{ANY_COUNTRY}"'
                self.error("brand.E008", key, f"unknown country {country!r}", hint)
            sites = self.mapping(value, tuple(REVIEW_SITES))
            found[country] = tuple([Destination(site, self.url(url)) for site, url in sites.items()])
        return MappingProxyType(found)


def _is_https(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme == "https" and bool(parts.hostname) and value.isprintable() and " " not in value
    except ValueError:
        return False
