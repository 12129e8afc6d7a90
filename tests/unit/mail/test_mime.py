"""Composing: what a mail program reads is what was meant, the headers of bulk mail are there, and none can be forged."""

from __future__ import annotations

import email
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.values.tokens import BadToken, verify
from streams.mail.links import Sender
from streams.mail.mime import Unsendable, compose
from streams.mail.rendering.renderer import RenderedEmail
from tests.harness.commands import NOW, SECRET, SENDER, command

WORDS = RenderedEmail("Tak for din ordre", "<p>Godmorgen Åse</p>\n", "Godmorgen Åse\n")


def _raw(words: RenderedEmail = WORDS, **changes: Any) -> bytes:
    order = command(**changes)
    return compose(SENDER, order, words, SENDER.links(order), NOW)


def _mail(words: RenderedEmail = WORDS, **changes: Any) -> EmailMessage:
    mail = email.message_from_bytes(_raw(words, **changes), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert mail.defects == []
    return mail


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    assert part.defects == []
    content: str = part.get_content()
    return content


def test_headers() -> None:
    """A receipt has all headers but those to unsubscribe; the same send has the same Message-ID at every attempt."""
    mail = _mail()
    assert mail["From"] == "Butik Ø <hej@shop.example>"
    assert mail["To"] == "Anna Jensen <anna@post.example>"
    assert mail["Message-ID"] == "<s1@shop.example>" == _mail(attempt=3)["Message-ID"]
    assert mail["Date"].datetime == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-ID"] == "<order-confirmation.shop.example>"
    assert mail["Feedback-ID"] == "confirmation:order-confirmation:order:takk"
    assert mail["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    ("purpose", "scope"),
    [("review", "review"), ("survey", "survey"), ("marketing", "marketing"), ("profile", "marketing")],
)
def test_one_click_unsubscribe(purpose: str, scope: str) -> None:
    """All but transactional mail carries RFC 8058's two headers, unfolded, with a token that only the secret can make."""
    raw = _raw(purpose=purpose)
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    (line,) = [line for line in raw.split(b"\r\n") if line.startswith(b"List-Unsubscribe: ")]
    token = line.decode().partition("<https://links.example/u/")[2].rstrip(">")
    assert verify(SECRET, "unsubscribe", token) == ("s1", "c1", scope)
    with pytest.raises(BadToken):
        verify(SECRET, "open", token)
    with pytest.raises(BadToken):
        verify(SECRET, "unsubscribe", token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"to_address": "a@b.example\r\nBcc: c@d.example"}, "to_address"),
        ({"to_address": "a@b.example, c@d.example"}, "to_address"),
        ({"to_address": "a@b.example>\x00"}, "to_address"),
        ({"to_address": "a\x00@b.example"}, "to_address"),
        ({"to_address": "åse@b.example"}, "to_address"),
        ({"to_address": "a@"}, "to_address"),
        ({"to_name": "Anna\r\nBcc: c@d.example"}, "to_name"),
        ({"to_name": "Anna\x85"}, "to_name"),
        ({"send_id": "s1> x"}, "send_id"),
        ({"flow": "f\r\nBcc: c@d.example"}, "flow"),
        ({"message": "m:n"}, "message"),
    ],
)
def test_what_would_break_a_header_does_not_leave(changes: dict[str, str], field: str) -> None:
    """A field that would forge or break a header is refused by its name, without its content."""
    with pytest.raises(Unsendable) as caught:
        _raw(**changes)
    assert str(caught.value) == caught.value.reason == field


def test_subject_with_a_line_break_does_not_leave() -> None:
    """Also the subject is checked where it is written, whoever rendered it."""
    with pytest.raises(Unsendable, match="subject"):
        _raw(RenderedEmail("a\nBcc: c@d.example", "", ""))


def _decoded(header: str) -> str:
    return " ".join(str(make_header(decode_header(header))).split())


PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=400)


@settings(max_examples=60, deadline=None)
@given(subject=PRINTABLE, name=PRINTABLE)
def test_any_words_survive_the_headers(subject: str, name: str) -> None:
    """Any subject and any name come back as they were, in ASCII lines that no rule forbids."""
    raw = _raw(RenderedEmail(subject, "", ""), to_name=name)
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) < 998
    mail = email.message_from_bytes(raw)  # not the newer policy: it puts blanks between the encoded words of a name
    assert _decoded(mail["Subject"]) == " ".join(subject.split())
    shown, address = parseaddr(mail["To"].replace("\r\n", ""))
    assert address == "anna@post.example"
    assert _decoded(shown) == " ".join(name.split())


def test_encoded_words_are_short() -> None:
    """RFC 2047: no encoded word is longer than 75 characters, and none ends inside a letter."""
    raw = _raw(RenderedEmail("æøå🎄" * 40, "", ""))
    words = [part for part in raw.partition(b"\r\nDate:")[0].split() if part.startswith(b"=?")]
    assert len(words) > 8
    for word in words:
        assert len(word) <= 75
        decode_header(word.decode())[0][0].decode()


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=600))
def test_any_body_survives(text: str) -> None:
    """Any text comes back as it was but for line ends; no line is long, none is a lone dot, no CR or LF stands alone."""
    raw = _raw(RenderedEmail("s", text, text))
    assert raw.isascii()
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    lines = raw.split(b"\r\n")
    assert b"." not in lines
    body = lines[lines.index(b"") :]
    assert max(map(len, body)) <= 78
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    mail = email.message_from_bytes(raw)
    for part in mail.get_payload():  # type: ignore[union-attr]  # a multipart's payload is its parts
        assert part.get_payload(decode=True).decode().replace("\r\n", "\n") == expected  # type: ignore[union-attr]


def test_both_parts() -> None:
    """The text comes before the HTML, as multipart/alternative wants it."""
    mail = _mail()
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert _part(mail, "plain").strip() == "Godmorgen Åse"
    assert _part(mail, "html").strip() == "<p>Godmorgen Åse</p>"


def test_secret_is_not_shown() -> None:
    """The secret is in no repr."""
    assert SECRET.decode() not in repr(SENDER)
    assert Sender.parse("hej@shop.example", "shop.example", "https://l/", SECRET).base_url == "https://l"
