"""Galleries without Chromium, and the differences between two galleries."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PIL import Image

from streams.tools.preview.changes import InvalidGallery, compare, compare_pictures
from streams.tools.preview.emails import Emails, Variant
from streams.tools.preview.gallery import INDEX, Gallery, Written, picture_name, write_gallery
from streams.tools.preview.gallery_pages import percent
from tests.harness.commands import TEMPLATES
from tests.harness.small_templates import FLOW, write_folder


@pytest.fixture(autouse=True)
def _without_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def write(root: Path, out: Path) -> Written:
    """Write the gallery of a folder."""
    emails = Emails(root, "Tea <hi@tea.test>")
    return write_gallery(emails, list(emails.variants()), out, lambda done, total: None)


def test_a_gallery_without_chromium(tmp_path: Path) -> None:
    """HTML, text and a sheet per language are written, and they name no server."""
    root, out = write_folder(tmp_path / "templates"), tmp_path / "out"
    assert write(root, out) == Written(4, 0, 0, ())
    assert "Hej Anna" in (out / "emails" / "hello.hi.da.example.html").read_text()
    assert "Hello Anna" in (out / "emails" / "hello.hi.en.example.txt").read_text()
    index, danish = (out / "index.html").read_text(), (out / "sheet-da.html").read_text()
    assert "Hello there" in index
    assert "Hej there" in danish
    assert 'src="emails/hello.hi.en.example.html"' in index
    for path in out.rglob("*.html"):
        assert 'src="http' not in path.read_text()


def test_documents_of_emails(tmp_path: Path) -> None:
    """The PDF that an email carries is beside it, with a link. An email without one has none."""
    emails = Emails(TEMPLATES)
    variants = [
        Variant("invoice", "invoice", "nb", "company"),
        Variant("order-confirmation", "confirmation", "nb", "example"),
    ]
    for _ in range(2):  # the second replaces the first
        write_gallery(emails, variants, tmp_path, lambda done, total: None)
    assert [path.name for path in (tmp_path / "documents").iterdir()] == ["invoice.invoice.nb.company.pdf"]
    assert (tmp_path / "documents" / "invoice.invoice.nb.company.pdf").read_bytes().startswith(b"%PDF-")
    assert (tmp_path / "index.html").read_text().count(".pdf") == 1
    assert 'href="documents/invoice.invoice.nb.company.pdf"' in (tmp_path / "index.html").read_text()


def test_writing_again(tmp_path: Path) -> None:
    """An earlier gallery is replaced: emails that are gone have no files. Other files of the folder stay."""
    root, out = write_folder(tmp_path / "templates"), tmp_path / "out"
    write(root, out)
    (out / "notes.txt").write_text("mine")
    (root / FLOW / "bye.html.j2").unlink()
    write(root, out)
    assert sorted(path.name for path in (out / "emails").glob("*.html")) == [
        "hello.hi.da.example.html",
        "hello.hi.en.example.html",
    ]
    assert (out / "notes.txt").read_text() == "mine"


def test_a_message_that_cannot_be_rendered(tmp_path: Path) -> None:
    """It is listed with the reason, and its sheet shows it."""
    root, out = write_folder(tmp_path / "templates"), tmp_path / "out"
    (root / FLOW / "hi.html.j2").write_text("{{ ordr.total }}")
    written = write(root, out)
    assert written.emails == 2
    assert len(written.problems) == 2
    assert "ordr" in (out / "index.html").read_text()


def test_changes_without_pictures(tmp_path: Path) -> None:
    """Changed, new and removed emails are listed; the page shows subjects and lines of the text part."""
    root, before, after = write_folder(tmp_path / "templates"), tmp_path / "before", tmp_path / "after"
    write(root, before)
    copy = root / FLOW / "copy" / "en.yaml"
    copy.write_text(
        copy.read_text()
        .replace("hi.subject: Hello there", "hi.subject: Good day")
        .replace("hi.words: Hello", "hi.words: Hallo")
    )
    (root / FLOW / "bye.html.j2").rename(root / FLOW / "later.html.j2")
    for language in ("en", "da"):
        path = root / FLOW / "copy" / f"{language}.yaml"
        path.write_text(path.read_text().replace("bye.", "later."))
    page = root / FLOW / "later.html.j2"
    page.write_text(page.read_text().replace("bye.", "later."))
    write(root, after)
    lines = list(compare(before, after).lines())
    assert [line.split() for line in lines[:-1]] == [
        ["changed", "hello/hi", "en", "example:", "subject,", "text"],
        *(["new", "hello/later", language, "example"] for language in ("en", "da")),
        *(["removed", "hello/bye", language, "example"] for language in ("en", "da")),
    ]
    assert lines[-1] == "4 emails: 1 changed, 2 new, 2 removed, 1 unchanged."
    text = (after / "changes.html").read_text()
    assert "<del>Hello there</del>" in text
    assert "<ins>Good day</ins>" in text
    assert "<ins>+Hallo Anna" in text


def test_changed_pictures(tmp_path: Path) -> None:
    """The largest share of changed pixels is first, and the page shows before, after and difference."""
    root, before, after = write_folder(tmp_path / "templates"), tmp_path / "before", tmp_path / "after"
    for out in (before, after):
        write(root, out)
        gallery = msgspec.json.decode((out / INDEX).read_bytes(), type=Gallery)
        emails = tuple(msgspec.structs.replace(email, has_pictures=True) for email in gallery.emails)
        (out / INDEX).write_bytes(msgspec.json.encode(msgspec.structs.replace(gallery, emails=emails)))
        for number, email in enumerate(emails):
            picture = Image.new("RGB", (10, 10), "white")
            if out == after:
                picture.paste((0, 0, 0), (0, 0, number, 10))
            picture.save(out / "pictures" / picture_name(email.name, "390", "light"))
    changes = compare(before, after)
    assert [change.share for change in changes.changed] == [0.3, 0.2, 0.1]
    assert changes.unchanged == 1
    assert changes.changed[0].what == "pictures"
    text = (after / "changes.html").read_text()
    for picture in changes.changed[0].pictures:
        for file in (picture.before, picture.after, picture.difference):
            assert (after / file).is_file()
            assert file in text
    assert "changed     30 %  hello/hi da example: pictures" in list(changes.lines())


@pytest.mark.parametrize(
    ("size", "share"),
    [((10, 10), 0.0), ((10, 20), 0.5), ((20, 10), 0.5), ((5, 10), 0.5)],
)
def test_sizes(tmp_path: Path, size: tuple[int, int], share: float) -> None:
    """A part that only one of two pictures has counts as changed."""
    for name, each in (("a.png", (10, 10)), ("b.png", size)):
        Image.new("RGB", each, "black").save(tmp_path / name)
    assert compare_pictures(tmp_path / "a.png", tmp_path / "b.png")[0] == share


def test_not_a_gallery(tmp_path: Path) -> None:
    """A folder without a list of emails is an error that says how to make one."""
    with pytest.raises(InvalidGallery, match="takk preview --out"):
        compare(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0.00 %"), (0.00001, "< 0.01 %"), (0.0123, "1.23 %"), (0.5, "50 %"), (1.0, "100 %")]
)
def test_shares(share: float, text: str) -> None:
    """A small change is never shown as none."""
    assert percent(share) == text
