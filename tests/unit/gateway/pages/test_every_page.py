"""Every page in every language: complete copy, headers, hidden values, and links that are not valid."""

from __future__ import annotations

import errno
import html.parser
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.definitions.problems import FlowFileError
from streams.gateway.pages.base.site import LANGUAGES, InvalidPages, accepted, page_language, site_of
from streams.settings import PROJECT_ROOT, Settings
from tests.harness.pages import Pages, opened, submit

COPY = {
    language: yaml.load(
        (PROJECT_ROOT / "templates" / "copy" / language / "pages.yaml").read_text("utf-8"), yaml.CSafeLoader
    )
    for language in LANGUAGES
}
#: Use, target and query of each page in each of its states.
STATES = [
    *(("u", scope, query) for scope in ("marketing", "review", "survey", "service") for query in ("", f"&done={scope}", f"&done=back-{scope}")),
    ("u", "marketing", "&done=fewer"),
    *(("p", "", query) for query in ("", *(f"&done={done}" for done in ("saved", "older", "nothing", "address", "export", "erase")))),
    *(("s", question, query) for question in ("nps", "quality") for query in ("", "&value=3", "&done=answered", "&done=thanks")),
    *(("r", sku, query) for sku in ("", "TEA-1", "OTHER") for query in ("", "&done=reviewed")),
    ("b", "o-1", ""), ("b", "o-1", "&done=ordered"), ("b", "o-9", ""), ("f", "CODE", ""),
    ("k", "summer", ""), ("k", "summer", "&done=entered"),
    *(("a", f"{kind}-12", query) for kind in ("change_address", "export", "erase") for query in ("", "&done=confirmed")),
]  # fmt: skip
VOID = frozenset(("meta", "link", "input", "img", "br", "hr"))


class Outline(html.parser.HTMLParser):
    """The nesting and the attributes of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.addresses: list[str] = []
        self.attributes: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.append(name)
            if name == "id":
                self.ids.append(value or "")
            elif name in ("for", "aria-labelledby", "aria-describedby"):
                self.references += (value or "").split()
            elif name in ("src", "href"):
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of an element, which must be open."""
        assert self.open.pop() == tag


def check_page(source: str, language: str) -> None:
    """Check what holds for every page."""
    outline = Outline(source)
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert set(outline.references) <= set(outline.ids)
    assert f'<html lang="{language}"' in source
    assert source.count("<h1>") == 1
    assert "<script" not in source
    assert not {"style", "onclick", "onload"} & set(outline.attributes)
    assert not re.search(r"\{\{|\}\}|\{%|>None<|Undefined", source)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_states(language: str, tmp_path: Path) -> None:
    """Every page in each of its states is complete and well-formed in every language, for a known and for an unknown customer."""
    pages = Pages(tmp_path)
    async with pages.client() as client:
        for customer in ("c-1", "stranger"):
            for use, target, query in STATES:
                source = await opened(client, f"{pages.link(use, target, customer_id=customer)}?lang={language}{query}")
                check_page(source, language)
        for token in ("x", "%00", "a.b"):
            response = await client.get(f"/u/{token}?lang={language}")
            assert response.status == 404
            check_page(await response.text(), language)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_pages_with_errors(language: str, tmp_path: Path) -> None:
    """A form that was not accepted is complete and well-formed in every language."""
    pages = Pages(tmp_path)
    forms: dict[str, dict[str, Any]] = {
        "u": {}, "p": {"act": "save", "birthday-day": "40", "birthday-month": "", "frequency": "x", "language": "x"},
        "s": {}, "r": {"name": "x" * 90}, "k": {}, "b": {"order": "x"},
    }  # fmt: skip
    async with pages.client() as client:
        for use, fields in forms.items():
            path = f"{pages.link(use, {'u': 'review', 'b': 'o-1'}.get(use, ''))}?lang={language}"
            for more in ({}, {"act": "why"}, {"act": "address"}, {"act": "erase"}) if use in "ps" else ({},):
                response = await submit(client, path, fields | more)
                assert response.status in (403, 422)  # 403: an unknown button
                check_page(await response.text(), language)


def test_copy_is_complete() -> None:
    """Each language has the same texts in the same order, all of them filled."""
    english = list(COPY["en"])
    for language, texts in COPY.items():
        assert list(texts) == english, language
        assert all(isinstance(text, str) and text.strip() for text in texts.values()), language


def test_copy_is_written_for_each_language() -> None:
    """Hardly any text of a language is the same as that of another."""
    for language, texts in COPY.items():
        for other, theirs in COPY.items():
            same = [key for key in texts if other != language and texts[key] == theirs[key] and len(texts[key]) > 20]
            assert same == [], (language, other)


def test_every_text_is_used() -> None:
    """Each key of the copy is in a template or a module, at least with the part before its last dot."""
    folders = (PROJECT_ROOT / "templates" / "shared" / "pages", PROJECT_ROOT / "streams" / "gateway" / "pages")
    sources = "".join(
        path.read_text("utf-8")
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
    used = {key for key in COPY["en"] if f'"{key}"' in sources}
    prefixes = (
        "u.scope.",
        "u.left.",
        "u.return.",
        "u.back.",
        "p.on.",
        "p.frequency.",
        "p.done.",
        "date.",
        "a.",
        "stars.",
        "error.photo-",
    )
    assert [key for key in COPY["en"] if key not in used and not key.startswith(prefixes)] == []


async def test_headers() -> None:
    """Pages may load only their own style sheet and pictures, are neither stored nor indexed, and send no referrer."""
    pages = Pages()
    async with pages.client() as client:
        response = await client.get(pages.link("p"))
        policy = response.headers["Content-Security-Policy"]
        assert response.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert policy.startswith(
            "default-src 'none'; style-src 'self'; img-src 'self' https: data:; form-action 'self'"
        )
        assert "frame-ancestors 'none'" in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        styles = await client.get("/assets/pages.css")
        assert styles.content_type == "text/css"
        assert "@import" not in await styles.text()
        assert "url(" not in await styles.text()
        assert (await client.get("/assets/logo")).status == 404


async def test_token_of_another_use() -> None:
    """The token of one kind of link opens no other page, and expired links say so; unsubscribing never expires."""
    pages = Pages()
    async with pages.client() as client:
        token = pages.link("p").removeprefix("/p/")
        for use in "ursbfka":
            assert (await client.get(f"/{use}/{token}")).status == 404
            assert (await client.post(f"/{use}/{token}")).status in (404, 405)
        links = {use: pages.link(use, "marketing") for use in ("u", "p")}
        pages.now = pages.now.replace(year=2027)
        assert (await client.get(links["u"])).status == 200
        response = await client.get(links["p"])
        assert response.status == 404
        assert "udløbet" in await response.text()


@pytest.mark.parametrize(
    ("header", "locale", "language"),
    [
        ("", "", "da"), ("sv-SE,sv;q=0.9,en;q=0.8", "", "sv"), ("fr,nn-NO;q=0.5", "", "nb"), ("*", "", "da"),
        ("da", "nl-BE", "nl"), ("en", "de-DE", "en"), (";;q=x,,", "", "da"), ("no", "", "nb"),
    ],
)  # fmt: skip
def test_language(header: str, locale: str, language: str) -> None:
    """The customer's language comes first, then the browser's, then the shop's."""
    own = [locale] if locale else []
    assert page_language(*own, *accepted(header), "da") == language


def test_folder_of_a_shop(tmp_path: Path) -> None:
    """A shop's folder may replace one page and some texts. Without a brand, pages show the sender's name, and nothing of Takk's example."""
    (tmp_path / "shared" / "pages").mkdir(parents=True)
    (tmp_path / "shared" / "pages" / "unknown.html.j2").write_text(
        "<h1>{{ t('privacy') }} {{ shop }} {{ brand.legal }}</h1>"
    )
    (tmp_path / "copy" / "da").mkdir(parents=True)
    (tmp_path / "copy" / "da" / "pages.yaml").write_text("privacy: Hemmeligt\n")
    site = site_of(Settings(templates_dir=tmp_path, mail_from="Teahouse <tea@shop.example>"))
    assert site.render("unknown.html.j2", "da", {}) == "<h1>Hemmeligt Teahouse ()</h1>"
    assert "Integritetspolicy" in site.render("unknown.html.j2", "sv", {})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("shared/pages/survey.html.j2", "{% if %}"),
        ("shared/pages/pages.css.j2", "{{ brand.nothing }}"),
        ("copy/da/pages.yaml", "privacy: [a]"),
        ("copy/nl/pages.yaml", "a: b: c"),
        ("shared/brand.yaml", "nam: Tea"),
    ],
)
def test_invalid_file(tmp_path: Path, name: str, content: str) -> None:
    """A file that cannot be read is reported with its name, before the first request."""
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises((InvalidPages, FlowFileError), match=path.name.replace(".", r"\.")):
        site_of(Settings(templates_dir=tmp_path))


@pytest.mark.parametrize("readable", [0, 1])
def test_unreadable_logo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable: int) -> None:
    """A logo that cannot be read, or not any more, is reported with its name and with what to do."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "brand.yaml").write_text("name: Teahouse\nlogo: tea.svg\n")
    (tmp_path / "shared" / "tea.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    reads = [b"<svg/>"] * readable

    def read(path: Path) -> bytes:
        if not reads:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return reads.pop()

    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises((InvalidPages, FlowFileError), match=r"tea\.svg.*Permission denied.*check its permissions"):
        site_of(Settings(templates_dir=tmp_path))


@pytest.mark.parametrize("language", LANGUAGES)
def test_notes_say_something_new(language: str) -> None:
    """No note of a page repeats the hint beside its photo."""
    hint, *notes = (
        {tuple(words[at : at + 3]) for words in [re.findall(r"\w+", text.lower())] for at in range(len(words) - 2)}
        for text in (
            COPY[language]["photo.hint"],
            *(text for key, text in COPY[language].items() if key.endswith(".note")),
        )
    )
    assert len(notes) > 1
    assert all(hint.isdisjoint(note) for note in notes)
