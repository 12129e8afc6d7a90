"""Writes a gallery: each email as HTML, as text and as pictures, with contact sheets. Any web server can serve it, and so can a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from streams.tools.preview.choices import SCHEMES, WIDTHS
from streams.tools.preview.chromium import Tab, chromium, open_browser
from streams.tools.preview.emails import EmailFailed, Emails, Variant, shown_name
from streams.tools.preview.gallery_pages import write_sheets
from streams.tools.preview.shown_html import preheader, shown_html, with_policy
from streams.tools.preview.story_pages import write_stories
from streams.tools.preview.story_player import StoryPlayer

#: The list of the emails in a gallery, which marks a folder as one.
INDEX = "gallery.json"
EMAILS, PICTURES, DOCUMENTS = "emails", "pictures", "documents"
#: Pixels of a picture's height at least.
_LEAST_HEIGHT = 300

Progress = Callable[[int, int], None]


class GalleryEmail(Struct, frozen=True, kw_only=True):
    """An email of a gallery.

    Attributes:
        name: the name of its files.
        flow, message, language, example: as of `Variant`.
        group: the group of the flow.
        subject, preheader: what an inbox shows.
        error: why it could not be rendered, or "".
        has_pictures: whether it was drawn.
        document: the file in the folder of documents that it carries, or "".
    """

    name: str
    flow: str
    message: str
    language: str
    example: str
    group: str = ""
    subject: str = ""
    preheader: str = ""
    error: str = ""
    has_pictures: bool = False
    document: str = ""


class Gallery(Struct, frozen=True, kw_only=True):
    """The emails of a gallery, in the order of its sheets."""

    shop: str
    emails: tuple[GalleryEmail, ...]


class Written(Struct, frozen=True):
    """A gallery that was written.

    Attributes:
        emails, pictures, stories: numbers of files.
        problems: emails that could not be rendered and stories that could not be played, with the reason.
    """

    emails: int
    pictures: int
    stories: int
    problems: tuple[str, ...]


def picture_name(name: str, width: str, scheme: str) -> str:
    """Return the file name of a picture of an email."""
    return f"{name}.{width}.{scheme}.png"


def write_gallery(
    emails: Emails, variants: Sequence[Variant], out: Path, progress: Progress, stories: StoryPlayer | None = None
) -> Written:
    """Write the gallery of some emails to a folder. An earlier gallery in it is replaced.

    Args:
        emails: renders the emails.
        variants: those that the gallery has.
        out: the folder.
        progress: is called with the number of emails that are drawn, and of all.
        stories: the stories, each of which gets a page; None for no stories.

    Raises:
        ChromiumFailed: Chromium is installed, and does not draw.
        OSError: a file cannot be written.
    """
    _clear(out)
    for part in (EMAILS, PICTURES, DOCUMENTS):
        (out / part).mkdir(parents=True, exist_ok=True)
    has_chromium = chromium() is not None
    written = [_write_email(emails, variant, out, has_pictures=has_chromium) for variant in variants]
    pages = [each.name for each in written if not each.error]
    if has_chromium:
        asyncio.run(_draw(out, pages, progress))
    gallery = Gallery(shop=emails.shop_name, emails=tuple(written))
    (out / INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(gallery)) + b"\n")
    played, story_problems = write_stories(stories, out) if stories is not None else ([], [])
    write_sheets(out, gallery, played)
    problems = [*(f"{shown_name(each)}: {each.error}" for each in written if each.error), *story_problems]
    pictures = len(pages) * len(WIDTHS) * len(SCHEMES) if has_chromium else 0
    return Written(len(pages), pictures, len(played), tuple(problems))


def _clear(out: Path) -> None:
    """Remove the files of an earlier gallery. Other files stay."""
    if not (out / INDEX).is_file():
        return
    for pattern in (
        f"{EMAILS}/*.html",
        f"{EMAILS}/*.txt",
        f"{PICTURES}/*.png",
        f"{DOCUMENTS}/*.pdf",
        "sheet-*.html",
        "story-*.html",
        "changes/*.png",
    ):
        for path in out.glob(pattern):
            path.unlink()


def _write_email(emails: Emails, variant: Variant, out: Path, *, has_pictures: bool) -> GalleryEmail:
    message = emails.messages[(variant.flow, variant.message)]
    listed = GalleryEmail(
        name=variant.name,
        flow=variant.flow,
        message=variant.message,
        language=variant.language,
        example=variant.example,
        group=message.group,
    )
    try:
        email = emails.email(variant)
    except EmailFailed as error:
        return replace(listed, error=str(error))
    html = with_policy(shown_html(email, pictures=emails.pictures))
    (out / EMAILS / f"{variant.name}.html").write_text(html, encoding="utf-8")
    (out / EMAILS / f"{variant.name}.txt").write_text(email.text, encoding="utf-8")
    if email.attachment is not None:
        listed = replace(listed, document=f"{variant.name}.pdf")
        (out / DOCUMENTS / listed.document).write_bytes(email.attachment.data)
    return replace(listed, subject=email.subject, preheader=preheader(email.html), has_pictures=has_pictures)


async def _draw(out: Path, names: Sequence[str], progress: Progress) -> None:
    """Draw each page in each width and color scheme, in one tab: a tab in the background is not drawn."""
    async with open_browser(Tab) as browser:
        tab = await browser.tab()
        for number, name in enumerate(names, 1):
            await _draw_page(tab, out, name)
            progress(number, len(names))
        await tab.close()


async def _draw_page(tab: Tab, out: Path, name: str) -> None:
    await tab.show(int(WIDTHS[0]))
    await tab.open((out / EMAILS / f"{name}.html").resolve().as_uri())
    for width in WIDTHS:
        for scheme in SCHEMES:
            await tab.show(int(width), _LEAST_HEIGHT, is_dark=scheme == "dark")
            (out / PICTURES / picture_name(name, width, scheme)).write_bytes(await tab.picture())
