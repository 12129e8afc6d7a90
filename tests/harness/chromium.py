"""A real Chromium without a window for tests, and axe-core for tests of accessibility.

Axe-core (MPL-2.0) is not part of the project: it is downloaded with npm and kept in `.takk/axe`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

from aiohttp import ClientSession

from streams.settings import PROJECT_ROOT
from streams.tools.preview.chromium import PATIENCE_S, ChromiumFailed, chromium, open_browser
from streams.tools.preview.chromium import Tab as PreviewTab

__all__ = ["Tab", "axe_source", "browser", "chromium", "shared_chromium"]

AXE_VERSION = "4.14.1"
_CACHE = PROJECT_ROOT / ".takk" / "axe"
#: Host and port of the Chromium that the tests of this process share; None while none runs.
_host: str | None = None


@cache
def axe_source() -> str | None:
    """Return the source of axe-core, downloaded once; None without npm or its registry."""
    path = _CACHE / f"axe-{AXE_VERSION}.min.js"
    if not path.is_file():
        npm = shutil.which("npm")
        if npm is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            command = [npm, "pack", f"axe-core@{AXE_VERSION}", "--silent", "--pack-destination", folder]
            try:
                packed = subprocess.run(command, capture_output=True, timeout=120, check=False)
            except subprocess.TimeoutExpired:
                return None
            archive = Path(folder) / f"axe-core-{AXE_VERSION}.tgz"
            if packed.returncode or not archive.is_file():
                return None
            with tarfile.open(archive) as files:
                member = files.extractfile("package/axe.min.js")
                assert member is not None
                _CACHE.mkdir(parents=True, exist_ok=True)
                part = path.with_suffix(f".{os.getpid()}")
                part.write_bytes(member.read())
                part.replace(path)
    return path.read_text(encoding="utf-8")


class Tab(PreviewTab):
    """A tab of the browser, with what a reader does in it.

    Attributes:
        requests, messages: the addresses that the page asked for, and the messages of its console.
    """

    def __init__(self, *arguments: Any) -> None:
        self.requests: list[str] = []
        self.messages: list[str] = []
        self._expected: dict[str, asyncio.Event] = {}
        super().__init__(*arguments)

    def on_event(self, method: str, params: dict[str, Any]) -> None:
        """Note requests and messages."""
        super().on_event(method, params)
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            self.requests.append(url)
            if url in self._expected:
                self._expected[url].set()
        elif method == "Log.entryAdded":
            self.messages.append(params["entry"]["text"])

    async def start(self) -> None:
        """Ask for the events that this class knows."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.call(f"{domain}.enable")

    async def without_scripts(self, is_off: bool = True) -> None:
        """Turn the scripts of pages off, or on."""
        await self.call("Emulation.setScriptExecutionDisabled", value=is_off)

    async def press(self, selector: str) -> None:
        """Click on an element that leads to another page, as a mouse does, and wait for that page."""
        self._loaded.clear()
        await self.tap(selector)
        await self.loaded()

    async def requested(self, url: str) -> None:
        """Wait until a page has asked for an address."""
        if url not in self.requests:
            await asyncio.wait_for(self._expected.setdefault(url, asyncio.Event()).wait(), PATIENCE_S)

    async def tap(self, selector: str) -> None:
        """Click on the middle of an element, as a mouse does."""
        box = await self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def type(self, selector: str, text: str) -> None:
        """Type a text into a field."""
        await self.tap(selector)
        await self.call("Input.insertText", text=text)


@contextlib.contextmanager
def shared_chromium() -> Iterator[None]:
    """Run one Chromium for the tabs of all tests: starting it takes two seconds. It must be installed."""
    global _host
    found: Future[str] = Future()
    loop = asyncio.new_event_loop()
    is_over = asyncio.Event()

    async def run() -> None:
        try:
            async with open_browser(Tab, is_offline=False) as running:
                found.set_result(running.host)
                await is_over.wait()
        except ChromiumFailed as failed:
            if found.done():
                raise
            found.set_exception(failed)

    thread = Thread(target=loop.run_until_complete, args=(run(),), name="chromium")
    thread.start()
    try:
        _host = found.result(PATIENCE_S)
        yield
    finally:
        _host = None
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
        loop.close()


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Tab]:
    """Return a tab of the shared Chromium, with cookies and storage of its own."""
    assert _host is not None, "the session has no Chromium: see tests/browser/conftest.py"
    async with ClientSession() as session, session.get(f"http://{_host}/json/version") as response:
        control = PreviewTab(await session.ws_connect((await response.json())["webSocketDebuggerUrl"], max_msg_size=0))
        context = (await control.call("Target.createBrowserContext"))["browserContextId"]
        target = await control.call("Target.createTarget", url="about:blank", browserContextId=context)
        tab = Tab(await session.ws_connect(f"ws://{_host}/devtools/page/{target['targetId']}", max_msg_size=0))
        await tab.start()
        try:
            yield tab
        finally:
            await tab.close()
            await control.call("Target.disposeBrowserContext", browserContextId=context)
            await control.close()
