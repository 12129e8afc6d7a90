"""Any form for any page: it is answered, never with an error of the program, and brings more emails only to customers who ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.gateway.pages.choices import PURPOSES, TRACKING
from tests.harness.examples import examples
from tests.harness.pages import Pages, check_of, opened

TARGETS = {"u": "marketing", "p": "", "s": "nps", "r": "TEA-1", "b": "o-1", "k": "summer", "a": "erase-12"}
NAMES = (
    "act", "scope", "shown", "on", "frequency", "language", "birthday-day", "birthday-month", "birthday-year", "birthday-shown",
    "anniversary-day", "anniversary-month", "anniversary-shown", "unwished", "unliked", "email", "sure", "value", "why", "stars", "text",
    "name", "order", "caption", "publish", "List-Unsubscribe", "photo",
)  # fmt: skip
WORDS = (
    "leave", "return", "fewer", "save", "nothing", "address", "export", "erase", "why", "answer", "review", "order", "enter", "confirm",
    "marketing", "review", "survey", "service", "profile", "tracking", "normal", "da", "sv", "1", "5", "10", "29", "2000", "TEA-1", "CUP-9",
    "yes", "o-1", "One-Click", "a@b.example", "marketing review",
)  # fmt: skip
FIELDS = st.lists(
    # The names are part of headers, where the client allows no control characters.
    st.tuples(
        st.sampled_from(NAMES) | st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=5),
        st.sampled_from(WORDS) | st.text(max_size=30),
    ),
    max_size=15,
)


def yeses(records: Sequence[tuple[str, Mapping[str, Any]]]) -> set[str]:
    """Return what records bring more of: purposes, tracking, and `normal` frequency."""
    found: set[str] = set()
    for _, record in records:
        found |= {purpose for purpose, is_yes in record.get("answers", {}).items() if is_yes}
        found |= {TRACKING} if record.get("tracking") else set()
        found |= {"normal"} if record.get("frequency") == "normal" else set()
    return found


async def submit_any(folder: Path, use: str, fields: list[tuple[str, str]], *, has_check: bool) -> None:
    """Submit a form twice and check what both answers and their records have in common."""
    pages = Pages(folder)
    async with pages.client() as client:
        path = pages.link(use, TARGETS[use])
        check = [("check", check_of(await opened(client, path)))] if has_check else []
        sizes = []
        for _ in range(2):
            response = await client.post(path, data=[*check, *fields], allow_redirects=False)
            assert response.status in (200, 303, 403, 413, 422), await response.text()
            sizes.append(len(pages.publisher.records))
    assert sizes[1] == 2 * sizes[0]
    assert len(set(pages.ids())) * 2 == len(pages.ids()), "the second time has the ids of the first"
    sent = pages.topics()
    first = dict(reversed(fields))
    ticked = {value for name, value in fields if name == "on"}
    is_one_click = first.get("List-Unsubscribe", "") == "One-Click"
    if not has_check and not (use == "u" and is_one_click):
        assert sent == []
    asked = set(ticked) if use == "p" and first.get("act") == "save" else set()
    if use == "u" and first.get("act") == "return":
        asked.add(first.get("scope", ""))
    if use == "p" and first.get("frequency") == "normal":
        asked.add("normal")
    assert yeses(sent) <= asked & {*PURPOSES, TRACKING, "normal"}
    assert all(record.get("stage") != "confirmed" for _, record in sent) or (use == "a" and first["act"] == "confirm")


@settings(max_examples=examples(150), deadline=None)
@given(use=st.sampled_from(sorted(TARGETS)), fields=FIELDS, has_check=st.booleans())
def test_any_form(use: str, fields: list[tuple[str, str]], has_check: bool, tmp_path_factory: Any) -> None:
    """Whatever a form contains, the answer is a page or a redirection, and doing it twice has the ids of doing it once."""
    asyncio.run(submit_any(tmp_path_factory.getbasetemp() / "uploads", use, fields, has_check=has_check))


BODIES = st.binary(max_size=300) | st.sampled_from(
    [
        b"--x\r\n",
        b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n",
        b"--x\r\n" + b"A" * 20_000,
        b"--x\r\n" + b"a: b\r\n" * 500,
        b"--x\r\n\r\n\r\n--x--",
        b"%ff=%00&%",
        b"&" * 1000,
        b"a=1" + b"&a=1" * 400,
    ]
)
TYPES = st.sampled_from(
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-7",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        "application/json",
    ]
)


async def post_any(folder: Path, use: str, body: bytes, kind: str) -> None:
    """Post a body and check the answer."""
    pages = Pages(folder)
    async with pages.client() as client:
        response = await client.post(pages.link(use, TARGETS[use]), data=body, headers={"Content-Type": kind})
        assert response.status in (403, 413)
    assert pages.publisher.records == []


@settings(max_examples=examples(100), deadline=None)
@given(use=st.sampled_from(sorted(TARGETS)), body=BODIES, kind=TYPES)
def test_any_body(use: str, body: bytes, kind: str, tmp_path_factory: Any) -> None:
    """Whatever bytes a body contains, nothing is published without the page's hidden value."""
    asyncio.run(post_any(tmp_path_factory.getbasetemp() / "uploads", use, body, kind))
