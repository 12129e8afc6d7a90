"""The effect of a change on every email: two galleries compared, pixel by pixel."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from streams.core.values.text import counted
from streams.tools.preview.choices import SCHEMES, WIDTHS
from streams.tools.preview.emails import shown_name
from streams.tools.preview.gallery import EMAILS, INDEX, PICTURES, Gallery, GalleryEmail, picture_name
from streams.tools.preview.gallery_pages import percent, write_changes

if TYPE_CHECKING:
    from PIL.Image import Image

#: The folder of the pictures before a change, and of the differences.
CHANGES = "changes"
#: The color of changed pixels, and how much of the rest is white.
_MARK, _FADED = (214, 0, 110), 0.75


class InvalidGallery(ValueError):
    """A folder that is not a gallery. The text says what to do."""


class ChangedPicture(Struct, frozen=True):
    """A picture that differs.

    Attributes:
        width, scheme: which picture it is.
        share: the share of its pixels that differ, from 0 to 1.
        before, after, difference: the files, relative to the new gallery.
    """

    width: str
    scheme: str
    share: float
    before: str
    after: str
    difference: str


class ChangedEmail(Struct, frozen=True):
    """An email that differs.

    Attributes:
        before, after: the email in both galleries.
        pictures: its pictures that differ, the largest share first.
        text: the lines of the text part that differ, as `difflib` marks them.
        is_same_html: whether the HTML is the same.
    """

    before: GalleryEmail
    after: GalleryEmail
    pictures: tuple[ChangedPicture, ...]
    text: tuple[str, ...]
    is_same_html: bool

    @property
    def share(self) -> float:
        """The largest share of changed pixels of its pictures."""
        return max((picture.share for picture in self.pictures), default=0.0)

    @property
    def what(self) -> str:
        """The parts that differ, in words."""
        parts = {
            "error": self.before.error != self.after.error,
            "subject": self.before.subject != self.after.subject,
            "preheader": self.before.preheader != self.after.preheader,
            "pictures": bool(self.pictures),
            "text": bool(self.text),
        }
        return ", ".join(name for name, differs in parts.items() if differs) or "only the HTML, which looks the same"


class Changes(Struct, frozen=True, kw_only=True):
    """The differences between two galleries.

    Attributes:
        changed: the emails that differ, the largest share of changed pixels first.
        added, removed: the emails that only one gallery has.
        unchanged: the number of emails that are the same.
        has_pictures: whether both galleries have pictures.
    """

    changed: tuple[ChangedEmail, ...]
    added: tuple[GalleryEmail, ...]
    removed: tuple[GalleryEmail, ...]
    unchanged: int
    has_pictures: bool

    def lines(self) -> Iterator[str]:
        """Yield a line for each email that differs, and a summary."""
        for change in self.changed:
            share = percent(change.share) if self.has_pictures else ""
            yield f"changed {share:>8}  {shown_name(change.after)}: {change.what}"
        for word, emails in (("new", self.added), ("removed", self.removed)):
            for email in emails:
                yield f"{word:7} {'':>8}  {shown_name(email)}"
        counts = (
            f"{len(self.changed)} changed",
            f"{len(self.added)} new",
            f"{len(self.removed)} removed",
            f"{self.unchanged} unchanged",
        )
        yield f"{counted(sum((len(self.changed), len(self.added), self.unchanged)), 'email')}: {', '.join(counts)}."


def compare(before: Path, after: Path) -> Changes:
    """Compare two galleries, and write the page of the differences into the newer one.

    Raises:
        InvalidGallery: a folder is not a gallery.
        ModuleNotFoundError: both galleries have pictures, and Pillow is not installed.
        OSError: a file cannot be read or written.
    """
    old, new = _read(before), _read(after)
    earlier = {email.name: email for email in old.emails}
    names = {email.name for email in new.emails}
    both = [(earlier[email.name], email) for email in new.emails if email.name in earlier]
    changed = []
    for one, other in both:
        change = _change(before, after, one, other)
        if change is not None:
            changed.append(change)
    changed.sort(key=lambda change: -change.share)
    changes = Changes(
        changed=tuple(changed),
        added=tuple(email for email in new.emails if email.name not in earlier),
        removed=tuple(email for email in old.emails if email.name not in names),
        unchanged=len(both) - len(changed),
        has_pictures=any(one.has_pictures and other.has_pictures for one, other in both),
    )
    write_changes(after, changes)
    return changes


def _read(folder: Path) -> Gallery:
    try:
        return msgspec.json.decode((folder / INDEX).read_bytes(), type=Gallery)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise InvalidGallery(f"{folder} is not a gallery (hint: `takk preview --out {folder}` writes one)") from error


def _change(before: Path, after: Path, one: GalleryEmail, other: GalleryEmail) -> ChangedEmail | None:
    """Return the difference of an email, or None if it is the same."""
    html = [_content(folder / EMAILS / f"{one.name}.html") for folder in (before, after)]
    text = [_content(folder / EMAILS / f"{one.name}.txt").decode(errors="replace") for folder in (before, after)]
    pictures = tuple(sorted(_changed_pictures(before, after, one.name), key=lambda picture: -picture.share))
    lines = tuple(difflib.unified_diff(text[0].splitlines(), text[1].splitlines(), "before", "after", lineterm="", n=1))
    change = ChangedEmail(one, other, pictures, lines, html[0] == html[1])
    is_same = change.is_same_html and not pictures and not lines and _words(one) == _words(other)
    return None if is_same else change


def _words(email: GalleryEmail) -> tuple[str, str, str]:
    return email.subject, email.preheader, email.error


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _changed_pictures(before: Path, after: Path, name: str) -> Iterator[ChangedPicture]:
    for width in WIDTHS:
        for scheme in SCHEMES:
            file = picture_name(name, width, scheme)
            one, other = (_content(folder / PICTURES / file) for folder in (before, after))
            if not one or not other or one == other:
                continue
            share, difference = compare_pictures(before / PICTURES / file, after / PICTURES / file)
            if not share:
                continue
            (after / CHANGES).mkdir(exist_ok=True)
            (after / CHANGES / f"before.{file}").write_bytes(one)
            difference.save(after / CHANGES / f"difference.{file}")
            yield ChangedPicture(
                width, scheme, share, f"{CHANGES}/before.{file}", f"{PICTURES}/{file}", f"{CHANGES}/difference.{file}"
            )


def compare_pictures(before: Path, after: Path) -> tuple[float, Image]:
    """Return the share of pixels that differ, and a picture that marks them on the faded new one.

    Pictures of different sizes are compared at their upper left corner; what only one of them has counts as different.
    """
    from PIL import Image, ImageChops, ImageFilter  # only here: an extra

    with Image.open(before) as one, Image.open(after) as other:
        size = max(one.width, other.width), max(one.height, other.height)
        first, second = (_on_canvas(each, size) for each in (one, other))
    channels = ImageChops.difference(first, second).split()
    mask = channels[0]
    for channel in channels[1:]:
        mask = ImageChops.lighter(mask, channel)
    mask = mask.point(lambda value: 255 if value else 0)
    share = mask.histogram()[255] / (size[0] * size[1])
    faded = Image.blend(second.convert("L").convert("RGB"), Image.new("RGB", size, "white"), _FADED)
    faded.paste(_MARK, mask=mask.filter(ImageFilter.MaxFilter(3)))
    return share, faded


def _on_canvas(picture: Image, size: tuple[int, int]) -> Image:
    """Return a picture on a canvas of a size. The canvas is transparent, so that it differs from every color."""
    from PIL import Image

    canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    canvas.paste(picture.convert("RGBA"))
    return canvas
