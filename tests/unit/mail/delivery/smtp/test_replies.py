"""Replies from hostile and odd servers: divided anywhere, too long, in other encodings."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.mail.delivery.smtp.replies import MAX_CHARACTERS, MAX_LINE, MAX_TEXT, Reply, ReplyParser, without_addresses

PIECES = st.lists(
    st.binary(max_size=40) | st.sampled_from([b"250 ok\r\n", b"250-a\r\n", b"550 5.1.1 no\n", b"25", b"0"])
)


def _parse(*chunks: bytes) -> tuple[list[Reply], str | None]:
    parser = ReplyParser()
    return [reply for chunk in chunks for reply in parser.feed(chunk)], parser.problem


def test_several_replies_and_lines() -> None:
    """Replies that arrive together are divided, and the lines of one reply are joined."""
    replies, problem = _parse(b"250 ok\r\n250-a\r\n250-b\r\n250 c\r\n354\r\n221")
    assert [(reply.code, reply.raw) for reply in replies] == [(250, b"ok\r"), (250, b"a\r\nb\r\nc\r"), (354, b"")]
    assert [reply.text for reply in replies] == ["250 ok", "250 a b c", "354"]
    assert problem is None


def test_cut_at_every_byte() -> None:
    """Replies are the same however their bytes are divided."""
    data = b"250-2.1.0 a\r\n250 2.1.0 ok\r\n550-5.1.1 Empf\xc3\xa4nger\r\n550 5.1.1 ung\xfcltig\r\n354 go\r\n"
    whole = _parse(data)
    assert len(whole[0]) == 3
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            assert _parse(data[:first], data[first:second], data[second:]) == whole
    assert _parse(*(bytes([byte]) for byte in data)) == whole


@pytest.mark.parametrize(
    "line",
    [
        b"hello\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"199 a\r\n",
        b"600 a\r\n",
        b"\x00\x00\x00\r\n",
        b"\r\n",
        b"250-a\r\n550 b\r\n",
    ],
)
def test_invalid_replies(line: bytes) -> None:
    """A line that is not a reply ends the conversation; the replies before it count."""
    replies, problem = _parse(b"250 ok\r\n" + line + b"250 ok\r\n")
    assert [reply.code for reply in replies] == [250]
    assert problem is not None
    assert problem.startswith("invalid reply")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("550 5.1.1 Empfänger ungültig\r\n".encode("latin-1"), "550 5.1.1 Empfänger ungültig"),
        ("550 5.1.1 Empfänger ungültig\r\n".encode(), "550 5.1.1 Empfänger ungültig"),
        (b"550 \x1b[31mred\x1b[0m\x00\x07 \xe2\x80\xaetxt\r\n", "550 [31mred [0m txt"),
        (b"550-5.1.1 \xfc\r\n550 \xc3\xbc\r\n", "550 5.1.1 ü ü"),
        (b"550 \xed\xa0\x80\r\n", "550 í"),
        (b"550 <anna@post.example> and bo@post.example\r\n", "550 <<address>> and <address>"),
    ],
)
def test_text_is_printable(raw: bytes, text: str) -> None:
    """Text is printable UTF-8 on one line, whatever the server's encoding, and contains no address."""
    ((reply,), _) = _parse(raw)
    assert reply.text == text


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"550 5.1.1 no\r\n", "5.1.1"),
        (b"550-5.7.26 no\r\n550 5.7.26 no\r\n", "5.7.26"),
        (b"550 4.1.1 no\r\n", None),
        (b"550 no 5.1.1\r\n", None),
        (b"550 5.1.1.1 no\r\n", None),
        (b"550 5.1.1. No\r\n", "5.1.1"),
        (b"550 5.1.1234 no\r\n", None),
        (b"250 2.0.0\r\n", "2.0.0"),
    ],
)
def test_enhanced_status_code(raw: bytes, status: str | None) -> None:
    """RFC 2034: the text of a refusal begins with its status, whose class is that of the code."""
    ((reply,), _) = _parse(raw)
    assert reply.status == status


@pytest.mark.parametrize(
    ("raw", "queue_id"),
    [
        (b"250 2.0.0 Ok: queued as 4F1C2A0B9D\r\n", "4F1C2A0B9D"),
        (b"250 OK id=1abcDE-0001\r\n", "1abcDE-0001"),
        (b"250 ok: queued as \xc4\x00b\r\n", "Ä"),
        (b"250 ok queued as " + b"x" * 500 + b"\r\n", "x" * 100),
        (b"250 ok\r\n", None),
    ],
)
def test_queue_id(raw: bytes, queue_id: str | None) -> None:
    """The server's id of an email is printable and bounded."""
    ((reply,), _) = _parse(raw)
    assert reply.queue_id == queue_id


@pytest.mark.parametrize(
    ("line", "repeats"),
    [(b"x" * 65_536, 160), (b"250-" + b"x" * 50 + b"\r\n", 100_000), (b"250-@" + b"a" * 900 + b"\r\n", 10_000)],
    ids=["a line of 10 MB", "100,000 lines", "long words"],
)
def test_memory_is_bounded(line: bytes, repeats: int) -> None:
    """A line of 10 MB or 100,000 lines are one reply, of which little is kept, and do not fill the memory."""
    parser = ReplyParser()
    parser.feed(b"250-")
    tracemalloc.start()
    for _ in range(repeats):
        assert parser.feed(line) == []
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 20_000
    *_, reply = parser.feed(b"\r\n250 ok\r\n" if not line.startswith(b"250") else b"250 ok\r\n")
    assert reply.code == 250
    assert len(reply.raw) <= MAX_TEXT + MAX_LINE
    assert len(reply.text) <= 4 + MAX_CHARACTERS


def test_an_endless_reply_is_invalid() -> None:
    """A server that never ends its reply is cut off."""
    parser = ReplyParser()
    while parser.problem is None:
        assert parser.feed(b"250-" + b"x" * (1 << 20) + b"\r\n") == []
    assert parser.problem == "invalid reply: longer than 32 MiB"


@given(PIECES)
def test_any_bytes(pieces: list[bytes]) -> None:
    """Any bytes are replies or a problem, the same however they are divided, and every text is printable and bounded."""
    replies, problem = _parse(*pieces)
    assert (replies, problem) == _parse(b"".join(pieces))
    for text in [reply.text for reply in replies] + [reply.queue_id or "" for reply in replies] + [problem or ""]:
        assert text.isprintable()
        assert len(text) <= MAX_CHARACTERS + 60
        text.encode()


@given(st.binary(max_size=4_000))
def test_any_text(raw: bytes) -> None:
    """Any bytes become printable UTF-8 of a bounded length."""
    text = without_addresses(raw)
    assert text.isprintable()
    assert len(text) <= MAX_CHARACTERS
    assert text.encode().decode() == text
