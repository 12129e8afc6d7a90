"""The copies of flows: their texts in the best language for a customer's locale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from jinja2 import Template

from streams.mail.rendering.copy import InvalidCopy, copy_texts
from streams.mail.rendering.languages import language_chain, read_languages
from streams.mail.rendering.render_errors import MissingMessage, RenderError
from streams.mail.rendering.sandbox import Sandbox
from streams.mail.rendering.template_folders import COPY, FLOWS, flow_folders
from streams.mail.rendering.texts import Texts


@dataclass(frozen=True, eq=False)
class FlowCopy:
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


class FlowCopies:
    """The copies of all flows of a templates folder.

    Args:
        templates_dir: folder of the templates.
        plain, html: the environments of text parts and of HTML parts.
        is_strict: whether a text that a language lacks is missing. Otherwise it is that of the shop's default language.
    """

    def __init__(self, templates_dir: Path, plain: Sandbox, html: Sandbox, *, is_strict: bool) -> None:
        self._dir = templates_dir
        self._is_strict = is_strict
        self._languages = read_languages(templates_dir)
        #: The folder of each flow, relative to the templates folder.
        self._folders: dict[str, str] = {}
        #: The copies by flow, language, and the languages that have texts.
        self._copies: dict[tuple[str, ...], FlowCopy] = {}
        self._compiled: dict[Sandbox, dict[str, str | Template]] = {plain: {}, html: {}}

    def copy(self, flow: str, locale: str) -> FlowCopy:
        """Return the copy of a flow for a locale, in the best language of the flow (`language_chain`), else the shop's default.

        A missing text is taken from the next language of the chain, and then from the default. Locales with the same texts share a copy.

        Raises:
            MissingMessage: the flow is missing.
            RenderError: the copy cannot be read.
        """
        chain, folder = language_chain(locale), self._dir / self.folder(flow) / COPY
        languages = self._languages
        language = next(
            (name for name in chain if languages.is_offered(name) and (folder / f"{name}.yaml").is_file()), ""
        )
        if not language:
            language = languages.default
            chain = (language, *language_chain(language))
        return self._in_language(flow, language, chain if self._is_strict else (*chain, languages.default))

    def _in_language(self, flow: str, language: str, names: Iterable[str]) -> FlowCopy:
        """Return the copy of a flow in a language, with texts of the languages in `names`, the best first."""
        found = {name: texts for name in names if (texts := self.texts(flow, name))}
        copy = self._copies.get((flow, language, *found))
        if copy is None:
            sources = {key: text for texts in reversed(found.values()) for key, text in texts.items()}
            plain, html = (
                Texts(environment, sources, language, compiled) for environment, compiled in self._compiled.items()
            )
            copy = self._copies[(flow, language, *found)] = FlowCopy(language, sources, plain, html)
        return copy

    def texts(self, flow: str, language: str) -> dict[str, str]:
        """Return the texts of a flow in one language, without those of other languages.

        Raises:
            MissingMessage: the flow is missing.
            RenderError: the copy cannot be read.
        """
        return {**self._texts(COPY, language), **self._texts(f"{self.folder(flow)}/{COPY}", language)}

    def _texts(self, folder: str, language: str) -> Mapping[str, str]:
        name = f"{folder}/{language}.yaml"
        try:
            return copy_texts((self._dir / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}  # a missing text is reported where it is used
        except (OSError, UnicodeDecodeError, yaml.YAMLError, InvalidCopy) as error:
            raise RenderError(f"{name}: {error}") from error

    def folder(self, flow: str) -> str:
        """Return the flow's folder, relative to the templates folder. A flow that was added after the start is found too.

        Raises:
            MissingMessage: the flow is missing.
        """
        if flow not in self._folders:
            folders = flow_folders(self._dir)
            self._folders = {name: path.relative_to(self._dir).as_posix() for name, path in folders.items()}
        if flow not in self._folders:
            raise MissingMessage(f"missing folder {FLOWS}/<group>/{flow}")
        return self._folders[flow]
