"""The tools that show emails, in a real Chromium: the local page, galleries with pictures, contrast, and the demo's inbox."""

from __future__ import annotations

import asyncio
import smtplib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from PIL import Image

from streams.mail.mime import compose
from streams.settings import load_settings
from streams.tools.local.inbox.server import Inbox
from streams.tools.preview.changes import compare
from streams.tools.preview.emails import Emails, Variant
from streams.tools.preview.folder_checks import check_contrast
from streams.tools.preview.gallery import write_gallery
from streams.tools.preview.server import PreviewServer
from streams.tools.preview.state import PreviewState
from tests.harness.chromium import browser, chromium
from tests.harness.page_findings import findings
from tests.harness.preview_checks import checked
from tests.harness.small_templates import FLOW, write_folder

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs Chromium")

#: Ends when the list of the inbox has the second email.
APPEARS = (
    "new Promise(done => { const look = () => document.body.innerText.includes('Farvel') && done(true); look();"
    " new MutationObserver(look).observe(document.body, {childList: true, subtree: true}); })"
)


async def test_the_local_page(tmp_path: Path) -> None:
    """Everybody can use the pages; a saved file is shown without a reload by hand; only this machine is asked; frames fit their emails."""
    root = write_folder(tmp_path / "templates")
    state = PreviewState(load_settings(templates_dir=root), root)
    async with TestServer(PreviewServer(state).app()) as server, browser() as tab:
        await checked(state)
        found: dict[str, list[str]] = {}
        for path in (
            "/",
            "/message/hello/hi?width=all&scheme=all",
            "/message/hello/hi?view=text",
            "/flow/hello",
            "/problems",
        ):
            found |= await findings(tab, str(server.make_url(path)))
        assert found == {}
        await tab.show(1280)
        await tab.open(str(server.make_url("/message/hello/hi")))
        assert await tab.run("document.querySelector('.mail iframe').offsetHeight") < 700
        copy = root / FLOW / "copy" / "en.yaml"
        before = state.version
        copy.write_text(copy.read_text().replace("Hello there", "Good day"))
        async for _ in state.changes(before):
            break
        await checked(state)
        # The newest version of the page waits for changes of its own: it does not load again.
        await tab.requested(str(server.make_url(f"/events?version={state.version}")))
        assert "Good day" in await tab.run("document.body.innerText")
        assert {
            url for url in tab.requests if not url.startswith((str(server.make_url("/")), "data:", "about:"))
        } == set()
        assert tab.messages == []


def test_a_gallery_with_pictures(tmp_path: Path) -> None:
    """Each email is drawn in both widths and colors, the same every time; a changed color is found, pixel by pixel."""
    root, before, after = write_folder(tmp_path / "templates"), tmp_path / "before", tmp_path / "after"
    for out in (before, after):
        emails = Emails(root)
        variants = [Variant("hello", name, "en", "example") for name in ("bye", "hi")]
        written = write_gallery(emails, variants, out, lambda done, total: None)
        assert (written.emails, written.pictures) == (2, 8)
        if out == before:
            for width in (390, 600):
                with Image.open(out / "pictures" / f"hello.hi.en.example.{width}.light.png") as picture:
                    assert picture.width == width
            page = root / FLOW / "hi.html.j2"
            page.write_text(page.read_text().replace("<p>", '<p style="color: #b0004f">'))
    (change,) = compare(before, after).changed
    assert change.after.message == "hi"
    assert 0 < change.share < 0.2
    assert {(each.width, each.scheme) for each in change.pictures} == {
        (width, scheme) for width in ("390", "600") for scheme in ("light", "dark")
    }


async def test_contrast(tmp_path: Path) -> None:
    """Text that cannot be read in dark colors is found, and only that."""
    root = write_folder(tmp_path / "templates")
    page = root / FLOW / "hi.html.j2"
    page.write_text(
        '<html><head><meta name="color-scheme" content="light dark"><style>@media (prefers-color-scheme: dark) {'
        " body { background: #111111 !important; } p { color: #333333 !important; } }</style></head>"
        '<body style="background: #ffffff"><p>Hello there</p><div style="display: none; color: #fefefe">Hidden</div></body></html>'
    )
    (finding,) = await check_contrast(Emails(root), [Variant("hello", "hi", "en", "example")])
    assert "'Hello there' cannot be read in dark colors: #333333 on #111111" in finding.message


async def test_the_inbox(tmp_path: Path) -> None:
    """Everybody can use the pages of the inbox, and a new email appears without a reload."""
    emails = Emails(write_folder(tmp_path))
    with Inbox() as inbox:

        def send(variant: Variant) -> None:
            command = emails.command(variant)
            data = compose(
                emails.shown_sender, command, emails.email(variant), emails.links(command), datetime.now(UTC)
            )
            with smtplib.SMTP(inbox.host, inbox.smtp_port, timeout=60) as client:
                client.sendmail("bounce@shop.example", [command.to_address], data)

        await asyncio.to_thread(send, Variant("hello", "hi", "da", "example"))
        async with browser() as tab:
            found: dict[str, list[str]] = {}
            for path in ("", "mail/1", "mail/1?part=text&q=hej", "mail/1?part=headers"):
                found |= await findings(tab, inbox.web_url + path)
            assert found == {}
            await tab.open(inbox.web_url)
            await asyncio.to_thread(send, Variant("hello", "bye", "da", "example"))
            await tab.run(APPEARS)
            assert {url for url in tab.requests if not url.startswith((inbox.web_url, "data:", "about:"))} == set()
            assert tab.messages == []
