"""The checks of `takk templates test`: every message in every language with every example, and the tests of the folder itself."""

from __future__ import annotations

import asyncio
import runpy
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from streams.definitions.checks.email_page import EmailPage, is_address
from streams.definitions.checks.rendered_emails import MAX_HTML_BYTES
from streams.definitions.checks.subjects import why_long
from streams.mail.rendering.renderer import RenderedEmail
from streams.tools.preview.choices import SCHEMES, WIDTHS
from streams.tools.preview.chromium import Tab, open_browser
from streams.tools.preview.emails import EmailFailed, Emails, Variant, shown_name
from streams.tools.preview.shown_html import shown_html, with_policy

_CONTRAST = Path(__file__).parent / "assets" / "contrast.js"


class Finding(Struct, frozen=True):
    """Something that is wrong with an email. `is_error` is whether the test fails."""

    email: str
    message: str
    is_error: bool = True

    def __str__(self) -> str:
        return f"{self.email}: {'error' if self.is_error else 'warning'}: {self.message}"


class EmailChecks(Struct, frozen=True, kw_only=True):
    """The result for all emails.

    Attributes:
        emails: how many were rendered.
        largest: the bytes of HTML of the largest one.
        largest_name: its name.
        findings: what is wrong.
    """

    emails: int
    largest: int
    largest_name: str
    findings: tuple[Finding, ...]


def check_emails(emails: Emails, variants: Sequence[Variant]) -> EmailChecks:
    """Render emails, and check their size, links, pictures, subjects and text parts."""
    findings: list[Finding] = []
    sizes: dict[str, int] = {}
    for variant in variants:
        name = shown_name(variant)
        try:
            email = emails.email(variant)
        except EmailFailed as error:
            findings.append(Finding(name, f"it cannot be rendered: {error}"))
            continue
        sizes[name] = len(email.html.encode())
        findings += _findings(name, email, sizes[name])
    largest = max(sizes, key=sizes.__getitem__, default="")
    return EmailChecks(
        emails=len(sizes), largest=sizes.get(largest, 0), largest_name=largest, findings=tuple(dict.fromkeys(findings))
    )


def _findings(name: str, email: RenderedEmail, size: int) -> Iterator[Finding]:
    if size > MAX_HTML_BYTES:
        yield Finding(name, f"{size / 1000:.1f} kB of HTML; Gmail cuts emails at {MAX_HTML_BYTES // 1000} kB")
    if not email.subject:
        yield Finding(name, "the subject is empty")
    if message := why_long(email.subject):
        yield Finding(name, message, is_error=False)
    if not email.text.strip():
        yield Finding(name, "the text part is empty")
    page = EmailPage(email.html)
    for address, is_image in page.addresses:
        if not is_address(address, is_image=is_image):
            yield Finding(name, f"the {'image' if is_image else 'link'} {address!r} is not an address")
    for source in page.without_text:
        yield Finding(name, f"the image {source!r} has no `alt`")


async def check_contrast(emails: Emails, variants: Sequence[Variant]) -> list[Finding]:
    """Return texts that cannot be read on what is behind them, measured by Chromium in light and in dark colors.

    Raises:
        ChromiumFailed: Chromium is not installed, or does not start.
    """
    findings: dict[Finding, None] = {}
    script = _CONTRAST.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="takk-contrast-") as folder:
        page = Path(folder) / "email.html"
        async with open_browser(Tab) as browser:
            tab = await browser.tab()
            for variant in variants:
                try:
                    page.write_text(with_policy(shown_html(emails.email(variant))), encoding="utf-8")
                except EmailFailed:
                    continue  # `check_emails` reports it
                await tab.open(page.as_uri())
                for scheme in SCHEMES:
                    await tab.show(int(WIDTHS[-1]), is_dark=scheme == "dark")
                    for found in await tab.run(script):
                        message = (
                            f"{found['words']!r} cannot be read in {scheme} colors: {found['color']} on {found['background']} "
                            f"has a contrast of {found['ratio']}, and 4.5 are needed"
                        )
                        findings[Finding(shown_name(variant), message)] = None
            await tab.close()
    return list(findings)


class TestRun(Struct, frozen=True):
    """The tests of a folder that ran.

    Attributes:
        passed: how many passed.
        failures: the name and the traceback of each that failed.
    """

    passed: int
    failures: tuple[tuple[str, str], ...]


def run_tests(folder: Path) -> TestRun:
    """Run the functions `test_*` in the files `test_*.py` of a folder. They take no arguments, so pytest can run them too."""
    passed, failures = 0, list[tuple[str, str]]()
    for path in sorted(folder.glob("test_*.py")):
        try:
            names = runpy.run_path(str(path))
        except Exception:  # noqa: BLE001 - whatever the file of a shop raises is its result
            failures.append((path.name, traceback.format_exc(limit=-3)))
            continue
        for name, test in names.items():
            if not name.startswith("test_") or not callable(test):
                continue
            try:
                test()
            except Exception:  # noqa: BLE001 - the same of a test
                failures.append((f"{path.name}::{name}", traceback.format_exc(limit=-2)))
            else:
                passed += 1
    return TestRun(passed, tuple(failures))


def measure_contrast(emails: Emails, variants: Sequence[Variant]) -> list[Finding]:
    """Return the result of `check_contrast`."""
    return asyncio.run(check_contrast(emails, variants))
