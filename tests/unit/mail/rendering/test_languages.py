"""Languages of locales, and those that a templates folder has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.mail.rendering.copy import copy_texts
from streams.mail.rendering.languages import ShopLanguages, is_language, language_chain, language_tag, read_languages
from streams.mail.rendering.salutations import CLOSINGS, GREETINGS
from tests.harness.commands import TEMPLATES


@pytest.mark.parametrize(
    ("locale", "chain"),
    [
        ("da", "da da-DK"),
        ("da-DK", "da-DK da"),
        ("en-GB", "en-GB en-001 en en-US"),
        ("es-MX", "es-MX es-419 es es-ES"),
        ("nb", "nb no nb-NO"),
        ("nn", "nn no nn-NO nb"),
        ("no", "no no-NO nb nn"),
        ("pt-AO", "pt-AO pt-PT pt pt-BR"),
        ("pt_br", "pt-BR pt"),
        ("zh-TW", "zh-TW zh-Hant-TW zh-Hant"),
        ("zh-Hant", "zh-Hant zh-TW"),
        ("zh-CN", "zh-CN zh-Hans-CN zh-Hans zh"),
        ("sr-Latn", "sr-Latn"),
        ("de_DE.UTF-8", "de-DE de"),
        ("iw", "he he-IL"),
        ("not a locale/../..", ""),
        ("", ""),
    ],
)
def test_chains(locale: str, chain: str) -> None:
    """The own tag comes first, then the parents of CLDR, then the likeliest region; another script is left out."""
    found = language_chain(locale)
    shown = [tag for tag in found if "-Hebr" not in tag]
    assert shown == chain.split()


@given(st.text(max_size=20) | st.from_regex(r"[a-z]{2,3}([-_][A-Za-z]{4})?([-_][A-Za-z]{2})?", fullmatch=True))
def test_a_chain_has_only_names_of_files(locale: str) -> None:
    """Whatever a record has as its locale, no part of the chain leaves the folder of the copy."""
    for tag in language_chain(locale):
        assert is_language(tag)
        assert tag.replace("-", "").isalnum()
        assert tag.isascii()


def test_tags() -> None:
    """Copy files are named as BCP 47 writes tags."""
    assert [language_tag(name) for name in ("pt_br", "ZH-hant", "da", "Danish", "x")] == [
        "pt-BR",
        "zh-Hant",
        "da",
        "",
        "",
    ]
    assert [is_language(name) for name in ("pt-BR", "pt_BR", "DA", "", None, 7)] == [True, *[False] * 5]


@pytest.mark.parametrize(
    ("file", "copies", "expected"),
    [
        ("languages: [da, en]", [], ShopLanguages(("da", "en"), "da")),
        (None, ["da", "en"], ShopLanguages((), "en")),
        (None, ["da"], ShopLanguages((), "da")),
        (None, [], ShopLanguages((), "en")),
        ("languages: [1]", ["da"], ShopLanguages((), "da")),
        ("{", ["da"], ShopLanguages((), "da")),
    ],
)
def test_the_languages_of_a_shop(file: str | None, copies: list[str], expected: ShopLanguages, tmp_path: Path) -> None:
    """The file names them; without a valid one every copy counts, and English is the default if there is an English copy."""
    (tmp_path / "copy").mkdir()
    for name in copies:
        (tmp_path / "copy" / f"{name}.yaml").write_text("a: b\n", encoding="utf-8")
    if file is not None:
        (tmp_path / "languages.yaml").write_text(file, encoding="utf-8")
    assert read_languages(tmp_path) == expected


@pytest.mark.parametrize("language", ["da", "en", "nb", "nl", "sv"])
def test_shared_texts(language: str) -> None:
    """Each language of the pages has all shared texts of emails, and says the same as its pages where both have a text."""
    texts, pages = (
        copy_texts((TEMPLATES / "copy" / name).read_text(encoding="utf-8"))
        for name in (f"{language}.yaml", f"{language}/pages.yaml")
    )
    english = copy_texts((TEMPLATES / "copy" / "en.yaml").read_text(encoding="utf-8"))
    assert list(texts) == list(english)
    assert {*GREETINGS, *CLOSINGS, "closing.new-year"} <= set(texts)
    assert (texts["privacy"], texts["nps.low"], texts["nps.high"]) == (
        pages["privacy"], pages["s.nps.least"], pages["s.nps.most"],
    )  # fmt: skip
