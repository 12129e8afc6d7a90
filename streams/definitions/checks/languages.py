"""Checks of `languages.yaml` and of the names of copy files, and the languages that stand in for others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from streams.definitions.language.yaml_reader import Reader, empty, read_yaml
from streams.definitions.problems import Problem, not_utf8, unreadable
from streams.mail.rendering.languages import (
    LANGUAGES_FILE,
    copy_files,
    is_language,
    language_chain,
    language_tag,
    read_languages,
)
from streams.mail.rendering.template_folders import COPY

#: Stands for all languages without a copy.
OTHERS = "*"


def check_languages(root: Path) -> Iterator[Problem]:
    """Yield the problems of `languages.yaml`, and copy files whose name is not a language."""
    path = root / LANGUAGES_FILE
    try:
        parsed = read_yaml(path.read_text(encoding="utf-8"), _LanguagesReader(), _LanguagesReader.languages)
    except FileNotFoundError:
        parsed = ()
    except UnicodeDecodeError as error:
        parsed = [not_utf8(path, error)]
    except OSError as error:
        parsed = [unreadable(path, error)]
    yield from [problem.in_file(path) for problem in parsed] if isinstance(parsed, list) else ()
    for copy in copy_files(root):
        if not is_language(copy.stem):
            yield Problem("message.E010", f"{copy.stem!r} is not a language", _hint(copy.stem, ".yaml")).in_file(copy)


def languages_of(root: Path, folder: Path) -> list[str]:
    """Return the languages in which the messages of a flow in `folder` must be complete: the shop's, or those of its copy files."""
    languages = read_languages(root)
    return sorted(languages.named) or sorted(
        {languages.default, *(path.stem for path in (folder / COPY).glob("*.yaml"))}
    )


def missing_copies(root: Path, folder: Path) -> Iterator[Problem]:
    """Yield the languages that the shop names and the flow in `folder` has no copy for."""
    for language in read_languages(root).named:
        path = folder / COPY / f"{language}.yaml"
        if not path.is_file():
            message = f"{LANGUAGES_FILE} names {language}, and the flow has no copy in it"
            yield Problem("message.E011", message, f"add the file, or remove {language} from {LANGUAGES_FILE}").in_file(
                path
            )


def fallbacks(root: Path) -> dict[str, list[str]]:
    """Return for each language the copies that its texts come from, the best first, and for `OTHERS` the default language."""
    languages = read_languages(root)
    found = {path.stem for path in copy_files(root) if is_language(path.stem)}
    offered = languages.named or tuple(sorted(found))
    chains = {
        name: [name, *(other for other in language_chain(name) if other != name and other in found)] for name in offered
    }
    return {**chains, OTHERS: [languages.default]}


class _LanguagesReader(Reader):
    def languages(self, root: yaml.Node | None) -> tuple[str, ...]:
        """Return the languages, the default first."""
        values = self.mapping(root or empty(LANGUAGES_FILE), ("languages",), ("languages",))
        if "languages" not in values:
            return ()
        nodes = self.items(values["languages"], "languages")
        if not nodes and isinstance(values["languages"], yaml.SequenceNode):
            self.error("message.E010", values["languages"], "no language is named", "write for example [da]")
        for node in nodes:
            name = self.text(node)
            if not is_language(name):
                self.error("message.E010", node, f"{name!r} is not a language", _hint(name))
        return tuple([self.text(node) for node in nodes])


def _hint(name: str, ending: str = "") -> str:
    tag = language_tag(name)
    return f"write {tag}{ending}" if tag else f"write for example da{ending}, pt-BR{ending} or zh-Hant{ending}"
