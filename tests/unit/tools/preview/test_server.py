"""The local page: every message in every choice, changes on save, problems beside the message, and "send me this"."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from streams.settings import load_settings
from streams.tools.local.inbox.server import Inbox
from streams.tools.preview.server import PreviewServer
from streams.tools.preview.state import PreviewState
from tests.harness.fixed_flows import templates_with
from tests.harness.preview_checks import checked
from tests.harness.small_templates import FLOW, write_folder

HI = "/message/hello/hi"


class Page:
    """A running page, and its folder."""

    def __init__(self, client: TestClient, state: PreviewState, inbox: Inbox) -> None:
        self.client, self.state, self.inbox = client, state, inbox

    async def text(self, path: str) -> str:
        """Return a page, which must answer 200."""
        response = await self.client.get(path)
        assert response.status == 200, await response.text()
        return await response.text()

    async def token(self) -> str:
        """Return the token of the form."""
        (found,) = re.findall(r'name="token" value="([^"]+)"', await self.text(HI))
        return str(found)


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """The page of the small folder, with a mail server."""
    root = write_folder(tmp_path / "templates")
    with Inbox(web_port=None) as inbox:
        settings = load_settings(
            templates_dir=root, smtp_host="127.0.0.1", smtp_port=inbox.smtp_port, mail_from="Tea <hi@tea.test>"
        )
        state = PreviewState(settings, root)
        async with TestClient(TestServer(PreviewServer(state, "me@tea.test").app())) as client:
            yield Page(client, state, inbox)


async def test_overview(page: Page) -> None:
    """The overview has each message with its subject and a frame, in the chosen language."""
    text = await page.text("/?language=da&scheme=dark")
    for words in (
        "Hej there",
        "Farvel",
        'href="/message/hello/hi?',
        'src="/email/hello/hi?',
        "scheme=dark",
        'href="/flow/hello"',
    ):
        assert words in text


@pytest.mark.parametrize(
    ("query", "frames"),
    [
        ("", 1),
        ("?width=all", 2),
        ("?width=all&scheme=all", 4),
        ("?language=all&width=all&scheme=all", 8),
        ("?language=xx&width=1&scheme=no", 1),
    ],
)
async def test_message(page: Page, query: str, frames: int) -> None:
    """The page of a message has one frame for each language, width and color scheme that is chosen."""
    text = await page.text(HI + query)
    assert text.count("<iframe") == frames
    assert "Hello there" in text
    for address in re.findall(r'<iframe src="([^"]+)"', text):
        frame = await page.text(address.replace("&amp;", "&"))
        assert "Anna" in frame
        assert "https://shop.example" not in frame


async def test_parts_and_examples(page: Page) -> None:
    """The text part and the source are shown as text, with the chosen example."""
    assert "Hello Anna" in await page.text(f"{HI}?view=text")
    assert "&lt;!doctype html&gt;" in await page.text(f"{HI}?view=source")
    assert "Hello Åse" in await page.text(f"{HI}?view=text&example=full")
    assert 'src=""' in await page.text("/email/hello/hi?pictures=off")


async def test_flow(page: Page) -> None:
    """The page of a flow has its picture, its steps as text, and its messages."""
    text = await page.text("/flow/hello")
    assert "/flow/hello.svg" in text
    assert "wait 2 days" in text
    response = await page.client.get("/flow/hello.svg")
    assert response.content_type == "image/svg+xml"
    assert "<svg" in await response.text()


async def test_the_document_of_an_email(tmp_path: Path) -> None:
    """The page of a message with a document has a link to the PDF, in the chosen language. Other messages have none."""
    root = templates_with({"invoice", "order-confirmation"}, tmp_path / "templates")
    state = PreviewState(load_settings(templates_dir=root), root)
    async with TestClient(TestServer(PreviewServer(state).app())) as client:
        text = await (await client.get("/message/invoice/invoice?language=nl")).text()
        assert "Factuur-F-2026-0017.pdf" in text
        (address,) = re.findall(r'href="(/document/[^"]+)"', text)
        response = await client.get(address.replace("&amp;", "&"))
        assert (response.status, response.content_type) == (200, "application/pdf")
        assert (await response.read()).startswith(b"%PDF-")
        assert (await client.get("/document/order-confirmation/confirmation")).status == 404
        assert "/document/" not in await (await client.get("/message/order-confirmation/confirmation")).text()


async def test_unknown_pages(page: Page) -> None:
    """Unknown names answer 404."""
    for path in ("/message/hello/no", "/email/no/hi", "/flow/no", "/flow/no.svg", "/assets/base.html.j2", "/x"):
        assert (await page.client.get(path)).status == 404, path


async def test_a_saved_file_is_shown(page: Page) -> None:
    """Saving a file sends an event to the open page; then the page has the change, and the problem in it with its place."""
    await checked(page.state)
    before = page.state.version
    stream = await page.client.get(f"/events?version={before}")
    copy = page.state.root / FLOW / "copy" / "en.yaml"
    copy.write_text(copy.read_text().replace("Hello there", "Good day") + "hi.unused: x\n")
    line = await stream.content.readline()
    assert line.startswith(b"data: ")
    assert line != f"data: {before}\n".encode()
    stream.close()
    assert "Good day" in await page.text(HI)
    await checked(page.state)
    text = await page.text(HI)
    assert f"{FLOW}/copy/en.yaml:7:1" in text
    assert "hi.unused" in text
    assert "hi.unused" in await page.text("/problems")
    assert "hi.unused" not in await page.text("/message/hello/bye")
    assert "hi.unused" not in await page.text(f"{HI}?language=da")


async def test_a_broken_message_is_shown(page: Page) -> None:
    """A message that cannot be rendered shows why, in its frame and beside it; the other pages work."""
    await checked(page.state)
    version = page.state.version
    (page.state.root / FLOW / "hi.html.j2").write_text("<p>{{ ordr.total }}</p>")
    async for _ in page.state.changes(version):
        break
    await checked(page.state)
    text = await page.text(HI)
    assert "cannot be rendered" in text
    assert f"{FLOW}/hi.html.j2:1:" in text
    assert "did you mean" in text
    assert "ordr" in await page.text("/email/hello/hi")
    for path in ("/", "/flow/hello", "/message/hello/bye"):
        await page.text(path)


async def test_send_me_this(page: Page) -> None:
    """The form sends the chosen language and example to the address; the result is a page that can be loaded again."""
    form = {
        "token": await page.token(),
        "flow": "hello",
        "message": "hi",
        "language": "da",
        "example": "example",
        "to": "me@tea.test",
    }
    response = await page.client.post("/send", data=form)
    assert "Sent to me@tea.test" in await response.text()
    assert response.history[0].status == 303
    await page.text(str(response.url.relative()))
    (mail,) = page.inbox.mails()
    assert (mail.to, mail.subject, mail.headers["from"]) == (("me@tea.test",), "Hej there", '"Tea" <hi@tea.test>')


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        ({"token": ""}, {}, 403),
        ({"token": "é"}, {}, 403),
        ({}, {"Origin": "https://evil.example"}, 403),
        ({}, {"Host": "evil.example"}, 403),
        ({"message": "no"}, {}, 404),
        ({"to": "nobody"}, {}, 200),
        ({"to": "a@b.test\r\nBcc: c@d.test"}, {}, 200),
    ],
)
async def test_nothing_is_sent(page: Page, changes: dict[str, str], headers: dict[str, str], status: int) -> None:
    """A form of another site, a stale form, and an invalid address send nothing."""
    form = {
        "token": await page.token(),
        "flow": "hello",
        "message": "hi",
        "language": "da",
        "example": "example",
        "to": "me@tea.test",
    }
    response = await page.client.post("/send", data=form | changes, headers=headers)
    assert response.status == status
    if status == 200:
        assert "Not sent" in await response.text()
    assert page.inbox.accepted == 0


async def test_a_get_sends_nothing(page: Page) -> None:
    """The address of the form answers no GET."""
    query = f"?token={await page.token()}&flow=hello&message=hi&to=me@tea.test"
    assert (await page.client.get(f"/send{query}")).status == 405
    assert page.inbox.accepted == 0


async def test_a_refusal_is_shown(page: Page) -> None:
    """The answer of a mail server that refuses the email is shown."""
    page.inbox.behaviour = lambda envelope: "550 5.7.1 no previews"
    form = {
        "token": await page.token(),
        "flow": "hello",
        "message": "hi",
        "language": "da",
        "example": "example",
        "to": "me@tea.test",
    }
    assert "no previews" in await (await page.client.post("/send", data=form)).text()


async def test_policies(page: Page) -> None:
    """Pages run their own script only, and emails none; other names of this machine are refused."""
    response = await page.client.get(HI)
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    policy = (await page.client.get("/email/hello/hi")).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy
    assert (await page.client.get("/", headers={"Host": "evil.example"})).status == 403
