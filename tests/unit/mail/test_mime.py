"""The bytes of an email: clients parse the content unchanged, bulk headers are present, and no header can be forged."""

from __future__ import annotations

import email
import quopri
from dataclasses import replace
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.mail.mime import Unsendable, _Lines, _lines, _quoted_printable, compose
from streams.mail.rendering.documents.attachments import Attachment
from streams.mail.rendering.logo import Logo
from streams.mail.rendering.renderer import RenderedEmail
from tests.harness.commands import NOW, SENDER, command
from tests.harness.examples import examples
from tests.harness.logos import png

EMAIL = RenderedEmail("Tak for din ordre", "<p>Godmorgen Åse</p>\n", "Godmorgen Åse\n")


def _raw(rendered: RenderedEmail = EMAIL, **changes: Any) -> bytes:
    order = command(**changes)
    return compose(SENDER, order, rendered, SENDER.links(order), NOW)


def _parsed(rendered: RenderedEmail = EMAIL, **changes: Any) -> EmailMessage:
    mail = email.message_from_bytes(_raw(rendered, **changes), policy=policy.default)
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
    """A receipt has all headers except those to unsubscribe. Every attempt of a send has the same Message-ID."""
    mail = _parsed()
    assert mail["From"] == "Butik Ø <hej@shop.example>"
    assert mail["To"] == "Anna Jensen <anna@post.example>"
    assert mail["Message-ID"] == "<s1@shop.example>" == _parsed(attempt=3)["Message-ID"]
    assert mail["Date"].datetime == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-ID"] == "<order-confirmation.shop.example>"
    assert mail["Feedback-ID"] == "confirmation:order-confirmation:order:takk"
    assert mail["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"to_address": "a@b.example\r\nBcc: c@d.example"}, "to_address"),
        ({"to_address": "a@b.example, c@d.example"}, "to_address"),
        ({"to_address": "a@b.example>\x00"}, "to_address"),
        ({"to_address": "a\x00@b.example"}, "to_address"),
        ({"to_address": "åse @b.example"}, "to_address"),
        ({"to_address": "a@bø.example"}, "to_address"),
        ({"to_address": "a@b.example\r\n"}, "to_address"),
        ({"to_address": "a@"}, "to_address"),
        ({"to_name": "Anna\r\nBcc: c@d.example"}, "to_name"),
        ({"to_name": "Anna\x85"}, "to_name"),
        ({"send_id": "s1> x"}, "send_id"),
        ({"flow": "f\r\nBcc: c@d.example"}, "flow"),
        ({"message": "m:n"}, "message"),
    ],
)
def test_a_forged_header_is_rejected(changes: dict[str, str], field: str) -> None:
    """A field that would forge or break a header is rejected. The error has its name, but not its content."""
    with pytest.raises(Unsendable) as error:
        _raw(**changes)
    assert str(error.value) == error.value.reason == field


def test_a_subject_with_a_line_break_is_rejected() -> None:
    """The subject is checked when the header is written."""
    with pytest.raises(Unsendable, match="subject"):
        _raw(RenderedEmail("a\nBcc: c@d.example", "", ""))


def _decoded(header: str) -> str:
    return " ".join(str(make_header(decode_header(header))).split())


PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=400)


@settings(max_examples=examples(60), deadline=None)
@given(subject=PRINTABLE, name=PRINTABLE)
def test_any_text_survives_the_headers(subject: str, name: str) -> None:
    """Any subject and any name are parsed unchanged, from ASCII lines of a valid length."""
    raw = _raw(RenderedEmail(subject, "", ""), to_name=name)
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) < 998
    mail = email.message_from_bytes(raw)  # the default policy would put spaces between the encoded words of a name
    assert _decoded(mail["Subject"]) == " ".join(subject.split())
    name_in_header, address = parseaddr(mail["To"].replace("\r\n", ""))
    assert address == "anna@post.example"
    assert _decoded(name_in_header) == " ".join(name.split())


def test_encoded_words_are_short() -> None:
    """An encoded word has at most 75 characters and whole letters (RFC 2047)."""
    raw = _raw(RenderedEmail("æøå🎄" * 40, "", ""))
    words = [part for part in raw.partition(b"\r\nDate:")[0].split() if part.startswith(b"=?")]
    assert len(words) > 8
    for word in words:
        assert len(word) <= 75
        decode_header(word.decode())[0][0].decode()


@settings(max_examples=examples(200), deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=("Cs",)), max_size=600)
    | st.text(st.sampled_from("a=.ø× \t\n"), max_size=600)
)
def test_any_body_survives(text: str) -> None:
    """Any text is parsed unchanged except for line ends. No line is long or a lone dot, and no CR or LF is alone."""
    raw = _raw(RenderedEmail("s", text, text))
    assert raw.isascii()
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    lines = raw.split(b"\r\n")
    assert b"." not in lines
    body = lines[lines.index(b"") :]
    assert max(map(len, body)) <= 76
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    mail = email.message_from_bytes(raw)
    for part in mail.get_payload():  # type: ignore[union-attr]  # a multipart's payload is its parts
        assert part.get_payload(decode=True).decode().replace("\r\n", "\n") == expected  # type: ignore[union-attr]


def test_half_a_character_becomes_a_question_mark() -> None:
    """A surrogate, which UTF-8 cannot encode, does not stop the email."""
    assert (
        _part(email.message_from_bytes(_raw(RenderedEmail("s", "ø\ud800", "t")), policy=policy.default), "html") == "ø?"
    )


def test_both_parts() -> None:
    """The text part is before the HTML part, as multipart/alternative requires."""
    mail = _parsed()
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert _part(mail, "plain").strip() == "Godmorgen Åse"
    assert _part(mail, "html").strip() == "<p>Godmorgen Åse</p>"


def test_logo() -> None:
    """The logo is beside the HTML part, which refers to its id; parsers read both parts and the picture without a defect."""
    logo = Logo(png(40, 30) * 9, "image/png", 40, 30)
    mail = _parsed(RenderedEmail("Tak", f'<img src="cid:{logo.content_id}">', "Tak", (logo,)))
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
    ]  # fmt: skip
    assert logo.content_id in _part(mail, "html")
    picture = list(mail.walk())[-1]
    assert picture.get_content() == logo.data
    assert picture["Content-ID"] == f"<{logo.content_id}>"
    assert picture.get_content_disposition() == "inline"
    lines = _raw(RenderedEmail("Tak", "", "Tak", (logo,))).split(b"\r\n")
    assert max(map(len, lines[lines.index(b"") :])) <= 76


def test_sender_of_a_purpose() -> None:
    """The name of a purpose is in From, with the address of all emails, and its answers go to another address."""
    mail = _parsed(RenderedEmail("Tak", "", "Tak", from_name="Ordrer hos Ø", reply_to="ordre@shop.example"))
    assert mail["From"].addresses[0].display_name == "Ordrer hos Ø"
    assert mail["From"].addresses[0].addr_spec == "hej@shop.example"
    assert mail["Reply-To"] == "ordre@shop.example"
    assert _parsed(RenderedEmail("Tak", "", "Tak"))["Reply-To"] is None


def test_a_long_customer_id_does_not_break_a_line() -> None:
    """The link to unsubscribe of an id of 200 characters is folded: no line has more than 998 characters (RFC 5322)."""
    order = command(customer_id="😀" * 200, purpose="marketing")
    raw = _raw(customer_id="😀" * 200, purpose="marketing")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    folded = email.message_from_bytes(raw)["List-Unsubscribe"]
    assert "".join(folded.split()) == f"<{SENDER.links(order).unsubscribe}>"


@pytest.mark.parametrize("line", [".", "x" * 75 + ".", "é" * 25 + "."])
def test_no_line_is_a_lone_dot(line: str) -> None:
    """No line ends the message of a server that does not remove the dot that SMTP adds, also after a soft line break."""
    lines = _raw(RenderedEmail("Tak", line, line)).split(b"\r\n")
    assert b"." not in lines
    assert _part(_parsed(RenderedEmail("Tak", line, line)), "html") == line


def test_a_line_with_many_different_characters() -> None:
    """An order of 1,000 lines in Chinese is one line of 500,000 characters. It is encoded in one pass, not in one for each character."""
    line = "".join(chr(0x4E00 + number % 20_000) for number in range(500_000))
    start = process_time()
    encoded = _quoted_printable(line)
    assert process_time() - start < 10  # one pass takes 0.2 s; one for each character took 80 s
    assert quopri.decodestring(encoded.encode()).decode() == line
    assert max(map(len, encoded.split("\r\n"))) <= 76


def test_the_cache_of_lines_is_bounded_in_bytes() -> None:
    """Long lines, which may contain an order, are not kept."""
    _lines.clear()
    _quoted_printable("short\n" + "é" * 501)
    assert set(_lines) == {"short"}


def test_the_cache_keeps_the_lines_that_are_used_again() -> None:
    """Lines of many emails push out each other, but not a line that each email has. All lines together stay bounded."""
    lines = _Lines()
    first = lines["ø of each email"]
    for number in range(40_000):
        assert lines[f"{number} of one email"] == f"{number} of one email"
        assert lines["ø of each email"] is first
    assert sum(len(line) + 100 for line in {**lines, **lines.older}) <= 3_000_000


@pytest.mark.parametrize("name", ["Faktura-F-17.pdf", "Räkning-Ø.pdf", "領収書.pdf"])
@pytest.mark.parametrize("logos", [(), (Logo(png(2, 2), "image/png", 2, 2),)])
def test_attachment(name: str, logos: tuple[Logo, ...]) -> None:
    """A document follows the text, which email programs show as before. Its name is whole, also with letters that ASCII lacks (RFC 2231)."""
    data = bytes(range(256)) * 9
    mail = _parsed(replace(EMAIL, attachment=Attachment(name, "application/pdf", data), logos=logos))
    assert mail.get_content_type() == "multipart/mixed"
    assert _part(mail, "plain").strip() == "Godmorgen Åse"
    assert "<p>Godmorgen Åse</p>" in _part(mail, "html")
    (part,) = mail.iter_attachments()
    assert (part.get_content_type(), part.get_content_disposition(), part.get_filename()) == (
        "application/pdf",
        "attachment",
        name,
    )
    assert part.get_content() == data
    assert part.defects == []
    assert (
        max(map(len, _raw(replace(EMAIL, attachment=Attachment(name, "application/pdf", data))).split(b"\r\n"))) < 200
    )


def test_an_email_without_an_attachment_has_no_further_part() -> None:
    """Its structure is the same as before there were documents."""
    assert _parsed().get_content_type() == "multipart/alternative"
