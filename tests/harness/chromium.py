"""A real Chromium without a window, driven over the Chrome DevTools Protocol, and axe-core for tests of accessibility.

Axe-core (MPL-2.0) is not part of the project: it is downloaded with npm and kept in `.takk/axe`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from streams.settings import PROJECT_ROOT

AXE_VERSION = "4.14.1"
_CACHE = PROJECT_ROOT / ".takk" / "axe"
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_LISTENS = re.compile(r"DevTools listening on (ws://\S+)")
_PATIENCE_S = 60.0


def chromium() -> str | None:
    """Return the program, or None if it is not installed."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


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


class Tab:
    """A tab of the browser."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        #: The requests of the page, as addresses, and messages of its console.
        self.requests: list[str] = []
        self.messages: list[str] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            data = json.loads(message.data)
            if "id" in data:
                self._answers.pop(data["id"]).set_result(data)
            elif data["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif data["method"] == "Network.requestWillBeSent":
                self.requests.append(data["params"]["request"]["url"])
            elif data["method"] == "Log.entryAdded":
                self.messages.append(data["params"]["entry"]["text"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        data = await asyncio.wait_for(answer, _PATIENCE_S)
        assert "error" not in data, data["error"]
        result: dict[str, Any] = data["result"]
        return result

    async def start(self) -> None:
        """Ask for the events that this class knows."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.call(f"{domain}.enable")

    async def show(self, width: int, height: int = 844, *, is_dark: bool = False, is_mobile: bool = False) -> None:
        """Set the size of the window, and dark mode."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_mobile
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def without_scripts(self, is_off: bool = True) -> None:
        """Turn the scripts of pages off, or on."""
        await self.call("Emulation.setScriptExecutionDisabled", value=is_off)

    async def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), _PATIENCE_S)

    async def run(self, script: str) -> Any:
        """Return the value of an expression, which may be a promise."""
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def press(self, selector: str) -> None:
        """Click on an element that leads to another page, as a mouse does, and wait for that page."""
        self._loaded.clear()
        await self.tap(selector)
        await asyncio.wait_for(self._loaded.wait(), _PATIENCE_S)

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

    async def picture(self) -> bytes:
        """Return the whole page as a PNG."""
        size = (await self.call("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    async def close(self) -> None:
        """Close the tab's connection."""
        await self._socket.close()
        await self._reader


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Tab]:
    """Start Chromium, and return a tab. It must be installed."""
    program = chromium()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="takk-chromium-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            program,
            "--headless=new",
            "--no-sandbox",  # tests run as root in containers; the pages are our own
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stderr is not None
            address = await asyncio.wait_for(_address(process.stderr), _PATIENCE_S)
            rest = asyncio.create_task(_drain(process.stderr))
            async with ClientSession() as session:
                host = address.removeprefix("ws://").partition("/")[0]
                async with session.put(f"http://{host}/json/new?about:blank") as response:
                    target = await response.json()
                socket = await session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
                tab = Tab(socket)
                await tab.start()
                yield tab
                await tab.close()
            rest.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _address(errors: asyncio.StreamReader) -> str:
    while line := await errors.readline():
        match = _LISTENS.search(line.decode(errors="replace"))
        if match:
            return match[1]
    raise AssertionError("Chromium ended before it listened")


async def _drain(errors: asyncio.StreamReader) -> None:
    while await errors.readline():
        pass
