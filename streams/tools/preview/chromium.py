"""A Chromium without a window, driven over the Chrome DevTools Protocol: it draws emails, for galleries and for tests."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType

#: The names of the program.
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_LISTENS = re.compile(r"DevTools listening on (ws://\S+)")
#: Seconds to wait for an answer, on a busy machine.
PATIENCE_S = 60.0
#: The browser asks nobody of its own accord.
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps")


class ChromiumFailed(RuntimeError):
    """Chromium did not start, ended, or refused a command."""


def chromium() -> str | None:
    """Return the program, or None if it is not installed."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Tab:
    """A tab of the browser."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            data = json.loads(message.data)
            if "id" in data:
                answer = self._answers.pop(data["id"], None)
                if answer is not None and not answer.done():
                    answer.set_result(data)
            else:
                self.on_event(data["method"], data["params"])
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ChromiumFailed("Chromium has ended"))

    def on_event(self, method: str, params: dict[str, Any]) -> None:
        """Handle an event of the browser."""
        if method == "Page.loadEventFired":
            self._loaded.set()

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result.

        Raises:
            ChromiumFailed: the browser refused it, or did not answer.
        """
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json({"id": number, "method": method, "params": params})
            data = await asyncio.wait_for(answer, PATIENCE_S)
        except (TimeoutError, ConnectionError) as error:
            raise ChromiumFailed(f"Chromium does not answer {method}") from error
        if "error" in data:
            raise ChromiumFailed(f"{method}: {data['error'].get('message')}")
        result: dict[str, Any] = data["result"]
        return result

    async def start(self) -> None:
        """Ask for the events that this class knows."""
        await self.call("Page.enable")

    async def show(
        self, width: int, height: int = 844, *, is_dark: bool = False, is_mobile: bool = False, scale: float = 1
    ) -> None:
        """Set the size of the window in CSS pixels, the device pixels of each, and dark mode."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=is_mobile,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await self.loaded()

    async def loaded(self) -> None:
        """Wait until the page is loaded.

        Raises:
            ChromiumFailed: it took too long.
        """
        try:
            await asyncio.wait_for(self._loaded.wait(), PATIENCE_S)
        except TimeoutError as error:
            raise ChromiumFailed(f"the page was not loaded within {PATIENCE_S:.0f} s") from error

    async def run(self, script: str) -> Any:
        """Return the value of an expression, which may be a promise."""
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise ChromiumFailed(f"the script failed: {result['exceptionDetails']}")
        return result["result"].get("value")

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


AnyTab = TypeVar("AnyTab", bound=Tab)


class Browser(Generic[AnyTab]):
    """A running browser. It opens tabs of one class.

    Attributes:
        host: host and port of its DevTools protocol.
    """

    def __init__(self, session: ClientSession, host: str, kind: type[AnyTab]) -> None:
        self._session, self.host, self._kind = session, host, kind

    async def tab(self) -> AnyTab:
        """Open a tab."""
        async with self._session.put(f"http://{self.host}/json/new?about:blank") as response:
            target = await response.json()
        tab = self._kind(await self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0))
        await tab.start()
        return tab


@contextlib.asynccontextmanager
async def open_browser(kind: type[AnyTab], *, is_offline: bool = True) -> AsyncIterator[Browser[AnyTab]]:
    """Start Chromium, and stop it at the end.

    Args:
        kind: the class of its tabs.
        is_offline: whether no name of a server can be resolved, so that a page reaches nobody.

    Raises:
        ChromiumFailed: it is not installed, or does not start.
    """
    program = chromium()
    if program is None:
        raise ChromiumFailed("Chromium is not installed")
    options = [
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-first-run",
        *_QUIET,
    ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium does not start as root otherwise; the pages are the shop's own
    if is_offline:
        options.append("--host-resolver-rules=MAP * ~NOTFOUND")
    with tempfile.TemporaryDirectory(prefix="takk-chromium-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            program,
            *options,
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        rest: asyncio.Task[None] | None = None
        try:
            errors = process.stderr
            assert errors is not None  # noqa: S101 - it is a pipe
            try:
                address = await asyncio.wait_for(_address(errors), PATIENCE_S)
            except TimeoutError as error:
                raise ChromiumFailed(f"Chromium did not start within {PATIENCE_S:.0f} s") from error
            rest = asyncio.create_task(_drain(errors))
            async with ClientSession() as session:
                yield Browser(session, address.removeprefix("ws://").partition("/")[0], kind)
        except ClientError as error:
            raise ChromiumFailed(f"the connection to Chromium failed: {error}") from error
        finally:
            if rest is not None:
                rest.cancel()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _address(errors: asyncio.StreamReader) -> str:
    while line := await errors.readline():
        match = _LISTENS.search(line.decode(errors="replace"))
        if match:
            return match[1]
    raise ChromiumFailed("Chromium ended before it listened")


async def _drain(errors: asyncio.StreamReader) -> None:
    while await errors.readline():
        pass
