"""The languages of a templates folder, and the copies that stand in for one that is missing: by CLDR's parent locales and likely subtags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import yaml
from babel.core import get_global
from msgspec import Struct

from streams.mail.rendering.template_folders import COPY, flow_folders

#: The file at the top of a templates folder that names the shop's languages.
LANGUAGES_FILE = "languages.yaml"
#: The language for all other customers, if the shop names none and has a copy in it.
USUAL_DEFAULT = "en"
_TAG = re.compile(r"([A-Za-z]{2,3})(?:-([A-Za-z]{4}))?(?:-([A-Za-z]{2}|\d{3}))?(?:$|-)")
#: Languages that the readers of another one understand in writing.
_ALSO_READ = {"no": ("nb", "nn"), "nb": ("no",), "nn": ("no", "nb")}


class ShopLanguages(Struct, frozen=True):
    """The languages of a shop's emails.

    Attributes:
        named: those that `languages.yaml` names; empty without the file. Then every copy file is a language.
        default: the language for customers of all others.
    """

    named: tuple[str, ...]
    default: str

    def is_offered(self, language: str) -> bool:
        """Return whether emails are written in the language if there is a copy."""
        return not self.named or language in self.named


def read_languages(templates_dir: Path) -> ShopLanguages:
    """Return the languages of a templates folder. An invalid `languages.yaml` counts as missing: `takk flows check` reports it."""
    named = _named(templates_dir / LANGUAGES_FILE)
    if named:
        return ShopLanguages(named, named[0])
    found = sorted({path.stem for path in copy_files(templates_dir)})
    return ShopLanguages((), USUAL_DEFAULT if USUAL_DEFAULT in found or not found else found[0])


def _named(path: Path) -> tuple[str, ...]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return ()
    names = values.get("languages") if isinstance(values, dict) else None
    return tuple(names) if isinstance(names, list) and all(is_language(name) for name in names) else ()


def copy_files(templates_dir: Path) -> Iterator[Path]:
    """Yield the copy files of a templates folder: the shared ones, and those of its flows."""
    for folder in (templates_dir, *flow_folders(templates_dir).values()):
        yield from sorted((folder / COPY).glob("*.yaml"))


def is_language(name: object) -> bool:
    """Return whether `name` is a language, script and region as copy files are named: `da`, `pt-BR`, `zh-Hant`."""
    return isinstance(name, str) and bool(name) and language_tag(name) == name


def language_tag(locale: str) -> str:
    """Return the language, script and region of a locale as BCP 47 writes them: "pt-BR" for "pt_br"; "" if it has no language."""
    return "-".join(filter(None, _subtags(locale)))


def _subtags(locale: str) -> tuple[str, str, str]:
    """Return language, script and region of a locale, the last two may be empty. Old codes of languages are replaced."""
    match = _TAG.match(re.split(r"[.@]", locale.replace("_", "-"))[0])
    if match is None:
        return "", "", ""
    language, script, region = match[1].lower(), (match[2] or "").title(), (match[3] or "").upper()
    # CLDR knows "no" as another name of "nb"; both are used for copies.
    alias = get_global("language_aliases").get(language, language) if language != "no" else language
    return (alias if alias.isalpha() else language), script, region


@lru_cache(maxsize=1024)
def language_chain(locale: str) -> tuple[str, ...]:
    """Return the languages whose copies a reader of `locale` gets, the best first: `pt-AO`, `pt-PT`, `pt`, `pt-BR` for "pt-AO".

    A language in another script is never among them. The chain is empty if the locale has no language.
    """
    language, script, region = _subtags(locale)
    if not language:
        return ()
    written_in, usual = script or _likely(language, "", region)[1], _likely(language, "", "")[1]
    chain = [
        tag
        for tag in (
            _join(language, script, region),
            _join(language, written_in, region),
            _join(language, "", region),
            *_parents(language, written_in, region),
            _join(language, written_in, ""),
            language,
            _join(language, "", _likely(language, written_in, "")[2]),
        )
        if tag == _join(language, script, region)
        or (
            _script_of(tag) == written_in and not (written_in == usual == "Latn" and "-Latn" in tag)
        )  # nobody writes da-Latn
    ]
    return tuple(dict.fromkeys([*chain, *_ALSO_READ.get(language, ())]))


def _parents(language: str, script: str, region: str) -> Iterator[str]:
    """Yield the parents of a locale that CLDR names, such as es-419 for es-MX."""
    parents = get_global("parent_exceptions")
    for tag in (_join(language, script, region), _join(language, "", region)):
        parent = parents.get(tag.replace("-", "_"))
        while parent and parent != "root":
            yield parent.replace("_", "-")
            parent = parents.get(parent)


def _likely(language: str, script: str, region: str) -> tuple[str, str, str]:
    """Return language, script and region with those that are likeliest in place of the missing ones."""
    likely = get_global("likely_subtags")
    for tag in (_join(language, script, region), _join(language, "", region), _join(language, script, ""), language):
        full = likely.get(tag.replace("-", "_"))
        if full:
            _, likely_script, likely_region = _subtags(full)
            return language, script or likely_script, region or likely_region
    return language, script, region


def _script_of(tag: str) -> str:
    language, script, region = _subtags(tag)
    return script or _likely(language, "", region)[1]


def _join(*subtags: str) -> str:
    return "-".join(filter(None, subtags))
