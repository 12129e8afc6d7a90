"""Bodies of multipart: what a client may send is bounded in bytes, lines and fields, also if it does not say its length."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.gateway.pages.base.forms import MAX_BODY, MAX_FORM
from tests.harness.pages import Pages, check_of, opened, picture

MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
FILE = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
CHUNK = b"x" * (64 << 10)


def field(name: str, value: bytes) -> bytes:
    """Return a part with a field."""
    return b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)


async def post_endless(client: Any, path: str, start: bytes, chunk: bytes, most: int) -> tuple[int, int]:
    """Send a body of `most` bytes without its length. Return the status of the answer, and how many bytes the client could send before it."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield start
        while sent < most:
            sent += len(chunk)
            yield chunk

    response = await client.post(path, data=body(), headers=MULTIPART, allow_redirects=False)
    return response.status, sent


@pytest.mark.parametrize("use", ["p", "u", "s", "b", "a"])
@pytest.mark.parametrize(
    "start",
    [b"", FILE, field("a", b"") + FILE, b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n', b"--b\r\nA: "],
)
async def test_page_without_photos(use: str, start: bytes) -> None:
    """A page that takes no photo reads no more of a body than a form can have, and answers 413 or 400 before the rest is sent."""
    pages = Pages()
    async with pages.client() as client:
        path = pages.link(use, {"a": "export-12", "u": "marketing"}.get(use, "x"))
        status, sent = await post_endless(client, path, start, CHUNK, 1 << 30)
    assert status in (400, 403, 413)
    assert sent < MAX_FORM + (16 << 20)  # what the buffers of both sides take
    assert pages.publisher.records == []


@pytest.mark.parametrize(
    "chunk",
    [FILE + b"\r\n" + CHUNK + b"\r\n", b"\n" * (64 << 10), (FILE + b"\r\n\r\n") * 900, b"--b\r\n\r\n\r\n" * 5000],
)
async def test_page_with_photos(chunk: bytes, tmp_path: Path) -> None:
    """Many files, lines or empty parts are bounded together, not each."""
    pages = Pages(tmp_path)
    async with pages.client() as client:
        status, sent = await post_endless(client, pages.link("k", "summer"), b"", chunk, 1 << 30)
    assert status in (400, 403, 413)
    assert sent < MAX_BODY + (32 << 20)


async def test_body_that_says_that_it_is_too_large(tmp_path: Path) -> None:
    """A body whose length is beyond any form is answered before it is sent."""
    pages = Pages(tmp_path)
    async with pages.client() as client:
        for use, length in (("k", MAX_BODY + 1), ("r", MAX_BODY + 1), ("p", MAX_FORM + 1)):
            reader, writer = await asyncio.open_connection(client.host, client.port)
            head = f"POST {pages.link(use, 'x')} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
            writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
            writer.close()


async def test_repeated_parts(tmp_path: Path) -> None:
    """The first value of a field counts, and the first file."""
    pages = Pages(tmp_path)
    async with pages.client() as client:
        path = pages.link("k", "summer")
        check = check_of(await opened(client, path)).encode()
        files = [FILE + content + b"\r\n" for content in (picture((300, 200)), b"", b"not a picture")]
        body = b"".join(
            [field("check", check), field("caption", b"one"), field("caption", b"two"), *files, b"--b--\r\n"]
        )
        response = await client.post(path, data=body, headers=MULTIPART, allow_redirects=False)
        assert response.status == 303, await response.text()
    (_, entry), _ = pages.topics()
    assert entry["caption"] == "one"


async def test_fields_after_a_photo_that_is_too_large(tmp_path: Path) -> None:
    """The page shows again what was typed after the photo."""
    pages = Pages(tmp_path)
    async with pages.client() as client:
        path = pages.link("k", "summer")
        check = check_of(await opened(client, path)).encode()
        body = b"".join([field("check", check), FILE, CHUNK * 200, b"\r\n", field("caption", b"Hej"), b"--b--\r\n"])
        response = await client.post(path, data=body, headers=MULTIPART)
        assert (response.status, "Hej" in await response.text()) == (413, True)


async def test_headers_of_parts_stay_out_of_the_warnings() -> None:
    """A part with an invalid header is not a field, and its text goes nowhere."""
    pages = Pages()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        async with pages.client() as client:
            for header in (
                "form-data; secret",
                "<secret>; name=a",
                "form-data; name=a; name=a; secret",
                "form-data; a*=secret",
            ):
                body = b"--b\r\nContent-Disposition: %s\r\n\r\nx\r\n--b--\r\n" % header.encode()
                response = await client.post(pages.link("p"), data=body, headers=MULTIPART)
                assert response.status == 403
    assert [str(each.message) for each in found if "secret" in str(each.message)] == []


_PIECES = st.sampled_from(
    [
        b"--b", b"--b--", b"\r\n", b"\n", b"\r", b":", b";", b'"', b"=", b"*", b"''", b"%", b"\x00", b"\xff", b"x" * 300,
        b"Content-Disposition", b"form-data", b"name", b"filename", b"filename*0", b"utf-8''%ff", b"bogus''a", b"_charset_", b"photo", b"check",
        b"Content-Type",
        b"multipart/mixed", b"multipart/mixed; boundary=b", b"Content-Length", b"Content-Transfer-Encoding", b"base64", b"quoted-printable",
        b"Content-Encoding", b"gzip", b"--b\r\nContent-Disposition: form-data; name=", b"\r\n\r\n",
    ]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    bodies=st.lists(st.lists(st.one_of(_PIECES, st.binary(max_size=8)), max_size=30), min_size=1, max_size=15),
    use=st.sampled_from("kpu"),
)
def test_any_body(bodies: list[list[bytes]], use: str) -> None:
    """No body makes a request fail: the answer is a page or an error of the client."""

    async def check() -> None:
        pages = Pages()
        async with pages.client() as client:
            for pieces in bodies:
                response = await client.post(pages.link(use, "x"), data=b"".join(pieces), headers=MULTIPART)
                assert 400 <= response.status < 500
        assert pages.publisher.records == []

    asyncio.run(check())


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(
        st.text(st.characters(max_codepoint=0x17F, exclude_categories=["Cc"]), max_size=100), min_size=1, max_size=15
    )
)
def test_any_content_type(kinds: list[str]) -> None:
    """No content type makes a request fail."""

    async def check() -> None:
        pages = Pages()
        async with pages.client() as client:
            for kind in [*kinds, *(f"multipart/form-data; boundary={kind}" for kind in kinds)]:
                headers = {"Content-Type": kind}
                response = await client.post(pages.link("k", "x"), data=b"--b\r\n\r\nx\r\n--b--\r\n", headers=headers)
                assert 400 <= response.status < 500

    asyncio.run(check())
