"""The inbox: its answers, its emails, its journal and its page."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.smtp import Envelope

from streams.tools.local.inbox import server as server
from streams.tools.local.inbox.journal import Journal, JournalEntry, read_journal
from streams.tools.local.inbox.mail import ReceivedEmail
from streams.tools.local.inbox.page import PAGE_SIZE
from streams.tools.local.inbox.server import HANG_UP, Inbox, InboxStartError

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    """A running inbox with a journal and a page."""
    with Inbox(tmp_path / "journal.jsonl") as running:
        yield running


def _message(send_id: str = "s1", subject: str = "Godmorgen Åse", html: str = "<p>Hej Åse</p>") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Butik <shop@shop.example>"
    message["To"] = "Åse <aase@post.example>"
    message["Subject"] = subject
    message["Message-ID"] = f"<{send_id}@shop.example>"
    message["List-ID"] = "review <review.shop.example>"
    message.set_content("Hej Åse")
    message.add_alternative(html, subtype="html")
    return message


def _send(inbox: Inbox, message: EmailMessage, to: str = "aase@post.example") -> None:
    with smtplib.SMTP(inbox.host, inbox.smtp_port, timeout=60) as client:
        client.send_message(message, "bounce@shop.example", [to])


def _get(inbox: Inbox, path: str) -> tuple[str, dict[str, str]]:
    with urllib.request.urlopen(inbox.web_url.rstrip("/") + path, timeout=60) as answer:
        return answer.read().decode(), dict(answer.headers)


def _journal(tmp_path: Path) -> list[str]:
    return [entry.message_id for entry in read_journal(tmp_path / "journal.jsonl")]


def test_an_accepted_email_is_complete(inbox: Inbox, tmp_path: Path) -> None:
    """Message-ID, recipients, subject, headers and both parts can be read back, and the journal has its line."""
    _send(inbox, _message())
    (mail,) = inbox.wait_for(1, 60)
    assert (mail.message_id, mail.send_id, mail.to) == ("<s1@shop.example>", "s1", ("aase@post.example",))
    assert mail.subject == "Godmorgen Åse"
    assert mail.headers["list-id"] == "review <review.shop.example>"
    assert (mail.text, mail.html) == ("Hej Åse\r\n", "<p>Hej Åse</p>\r\n")
    (entry,) = read_journal(tmp_path / "journal.jsonl")
    assert (entry.message_id, entry.size, entry.received_at_ms) == (mail.message_id, mail.size, mail.received_at_ms)


def test_the_journal_is_written_before_the_250(inbox: Inbox, tmp_path: Path) -> None:
    """At every 250 the journal is complete, so that a crash of the inbox loses no acknowledged email."""
    with smtplib.SMTP(inbox.host, inbox.smtp_port, timeout=60) as client:
        for number in range(20):
            client.send_message(_message(f"s{number}"), "bounce@shop.example", ["a@post.example"])
            assert len(_journal(tmp_path)) == number + 1


def test_the_journal_contains_no_personal_data(inbox: Inbox, tmp_path: Path) -> None:
    """The file contains only ids, sizes, times and list headers."""
    _send(inbox, _message())
    line = (tmp_path / "journal.jsonl").read_text()
    assert "aase" not in line
    assert "Åse" not in line


@pytest.mark.parametrize("answer", ["451 4.3.0 later", "550 5.1.1 nobody of that name"])
def test_a_behaviour_rejects(inbox: Inbox, tmp_path: Path, answer: str) -> None:
    """A 4xx or 5xx reaches the client and nothing is stored; other emails are accepted."""
    inbox.behaviour = lambda envelope: answer if envelope.rcpt_tos == ["bad@post.example"] else None
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        _send(inbox, _message(), "bad@post.example")
    assert f"{refusal.value.smtp_code} {refusal.value.smtp_error.decode()}" == answer
    _send(inbox, _message("s2"), "good@post.example")
    assert _journal(tmp_path) == ["<s2@shop.example>"]
    assert (inbox.accepted, inbox.refused) == (1, 1)


def test_a_behaviour_hangs_up_after_storing(inbox: Inbox, tmp_path: Path) -> None:
    """The window that SMTP leaves open: the email is stored, and the client gets no answer."""
    inbox.behaviour = lambda envelope: HANG_UP
    with pytest.raises(smtplib.SMTPServerDisconnected):
        _send(inbox, _message())
    assert _journal(tmp_path) == ["<s1@shop.example>"]


def test_a_journal_that_cannot_be_written(inbox: Inbox) -> None:
    """Without its line in the journal no email is acknowledged: the client is asked to retry."""
    assert inbox._journal is not None
    inbox._journal._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115 - closed with the inbox
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        _send(inbox, _message())
    assert refusal.value.smtp_code == 451
    assert inbox.accepted == 0


@pytest.mark.parametrize(
    "body",
    [b"", b".\r\n", b"a\r\n.\r\nb\r\n", b"..x\r\n.y\r\n", b"end.\r\n", b"Subject: x\r\n\r\n" + b"line.\r\n" * 500],
)
def test_dots_arrive_as_they_were_sent(inbox: Inbox, body: bytes) -> None:
    """SMTP's dot stuffing and its end mark are removed, also for empty emails and lines with one dot."""
    with smtplib.SMTP(inbox.host, inbox.smtp_port, timeout=60) as client:
        client.sendmail("a@shop.example", ["b@post.example"], body)
        client.noop()
    (mail,) = inbox.wait_for(1, 60)
    assert mail.raw == (body or b"\r\n")


def test_a_line_that_is_too_long(inbox: Inbox) -> None:
    """RFC 5321 allows 1,000 bytes with the line's end; the connection continues after the rejection."""
    with smtplib.SMTP(inbox.host, inbox.smtp_port, timeout=60) as client:
        with pytest.raises(smtplib.SMTPDataError, match="too long"):
            client.sendmail("a@shop.example", ["b@post.example"], b"x" * 999 + b"\r\n")
        client.sendmail("a@shop.example", ["b@post.example"], b"x" * 998 + b"\r\n")
    assert inbox.accepted == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd's warning about a login without TLS
def test_a_login_is_required(tmp_path: Path) -> None:
    """With a login set, a client without it is rejected."""
    with Inbox(login=("takk", "secret")) as inbox, smtplib.SMTP(inbox.host, inbox.smtp_port, timeout=60) as client:
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.send_message(_message(), "a@shop.example", ["b@post.example"])
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("takk", "wrong")
        client.login("takk", "secret")
        client.send_message(_message(), "a@shop.example", ["b@post.example"])
        assert inbox.accepted == 1


def _from_takk(send_id: str, subject: str, flow: str, language: str) -> EmailMessage:
    message = _message(send_id, subject, f'<!doctype html>\n<html lang="{language}" dir="ltr"><p>Hej</p></html>')
    message["Feedback-ID"] = f"ask:{flow}:review:takk"
    return message


def test_an_email_knows_its_flow_and_its_customer(inbox: Inbox) -> None:
    """Flow, message, purpose, language and name come from the email; other programs' emails have none of the first three."""
    _send(inbox, _from_takk("s1", "Hvad synes du?", "review", "da"))
    _send(inbox, _message())
    first, other = inbox.wait_for(2, 60)
    assert (first.flow, first.message, first.purpose, first.language, first.name) == (
        "review",
        "ask",
        "review",
        "da",
        "Åse",
    )
    assert (other.flow, other.message, other.purpose, other.language) == ("", "", "", "")
    page, _ = _get(inbox, "/mail/1")
    for text in ("review / ask", ">da<", "Åse", "aase@post.example", "Hvad synes du?"):
        assert text in page


@pytest.mark.parametrize(
    "query",
    ["q=BO%40", "q=for+bo", "q=review", "q=s2", "flow=review", "language=sv", "q=bo+review&flow=review&language=sv"],
)
def test_search(inbox: Inbox, query: str) -> None:
    """Parts of address, subject, flow and send id find an email, ignoring case; so do its flow and its language."""
    _send(inbox, _from_takk("s1", "for Anna", "nps", "da"), "anna@post.example")
    _send(inbox, _from_takk("s2", "for Bo", "review", "sv"), "bo@post.example")
    assert [mail.send_id for mail in inbox.mails("ANNA@")] == ["s1"]
    page, _ = _get(inbox, f"/?{query}")
    assert "for Bo" in page
    assert "for Anna" not in page


def test_pages_of_the_list(inbox: Inbox) -> None:
    """The newest emails are first; older ones are on further pages, and a page past the last is the last."""
    for number in range(PAGE_SIZE + 1):
        _send(inbox, _message(f"s{number}", f"subject {number}."))
    first, last = _get(inbox, "/")[0], _get(inbox, "/?page=999")[0]
    assert f"subject {PAGE_SIZE}." in first
    assert "subject 0." not in first
    assert "subject 0." in last
    assert last.count("<time") == 1


def test_parts_of_an_email(inbox: Inbox) -> None:
    """The text part, the source and the headers are views of their own, and links keep the search."""
    _send(inbox, _message())
    assert "Hej Åse" in _get(inbox, "/mail/1?part=text&q=aase")[0]
    assert "Content-Transfer-Encoding" in _get(inbox, "/mail/1?part=source")[0]
    assert "auto-submitted" not in _get(inbox, "/mail/1?part=headers")[0]
    page, _ = _get(inbox, "/mail/1?part=headers&q=aase")
    assert "list-id" in page
    assert "/mail/1?q=aase&amp;part=text" in page


def test_files_of_an_email(inbox: Inbox) -> None:
    """A file that an email carries can be saved, and is never shown as a page. An email without one has no links to files."""
    message = _message()
    message.add_attachment(b"%PDF-1.4 <script>", maintype="application", subtype="pdf", filename="Räkning-17.pdf")
    _send(inbox, message)
    _send(inbox, _message("s2"))
    assert inbox.wait_for(2, 30)[0].files == [("Räkning-17.pdf", "application/pdf", b"%PDF-1.4 <script>")]
    page, _ = _get(inbox, "/mail/1")
    assert 'href="/mail/1/file/1" download="Räkning-17.pdf"' in page
    body, headers = _get(inbox, "/mail/1/file/1")
    assert (body, headers["Content-Type"]) == ("%PDF-1.4 <script>", "application/octet-stream")
    assert headers["Content-Disposition"] == "attachment; filename*=utf-8''R%C3%A4kning-17.pdf"
    assert "/file/" not in _get(inbox, "/mail/2")[0]
    for path in ("/mail/1/file/2", "/mail/2/file/1", "/mail/1/file/0"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _get(inbox, path)


def test_dark_colors_and_pictures(inbox: Inbox) -> None:
    """Dark rules apply on request. Pictures are drawings, or loaded from the gateway alone, or left out."""
    inbox.pictures_origin = "http://127.0.0.1:8083"
    html = (
        "<style>@media (prefers-color-scheme: dark) { p { color: #fff } }</style><p>Hej</p>"
        '<img src="http://127.0.0.1:8083/o/x"><img src="https://shop.example/a.jpg">'
    )
    _send(inbox, _message(html=html))
    light, policy = _get(inbox, "/mail/1/html")
    assert "@media (max-width:0)" in light
    assert light.count('src="data:image/svg+xml') == 2
    assert "img-src data:;" in policy["Content-Security-Policy"]
    dark, policy = _get(inbox, "/mail/1/html?scheme=dark&pictures=load")
    assert "@media (min-width:0)" in dark
    assert 'src="http://127.0.0.1:8083/o/x"' in dark
    assert "shop.example/a.jpg" not in dark
    assert "img-src data: http://127.0.0.1:8083;" in policy["Content-Security-Policy"]
    assert _get(inbox, "/mail/1/html?pictures=off")[0].count('src=""') == 2


def test_new_emails_are_announced(inbox: Inbox) -> None:
    """The stream of events sends the number of emails at its start and after each new one."""
    with urllib.request.urlopen(f"{inbox.web_url}events", timeout=60) as stream:
        assert stream.readline() == b"data: 0\n"
        stream.readline()
        _send(inbox, _message())
        assert stream.readline() == b"data: 1\n"


def test_the_assets_of_the_page(inbox: Inbox) -> None:
    """The style sheet and the script are served, and nothing else of the folder."""
    assert _get(inbox, "/assets/inbox.css")[1]["Content-Type"].startswith("text/css")
    assert _get(inbox, "/assets/inbox.js")[1]["Content-Type"].startswith("text/javascript")
    with pytest.raises(urllib.error.HTTPError):
        _get(inbox, "/assets/list.html.j2")


def test_the_page_escapes_everything(inbox: Inbox) -> None:
    """Markup in the subject, headers, text and search word is shown as text, on the list and on the email's page."""
    message = _message("s1", EVIL)
    message["X-Evil"] = EVIL
    message.get_body(("plain",)).set_content(EVIL)  # type: ignore[union-attr]
    _send(inbox, message)
    paths = ["/", "/?q=%3Cscript%3E", "/?page=%3Cscript%3E", "/?flow=%3Cscript%3E"]
    for path in (*paths, *(f"/mail/1?part={part}" for part in ("html", "text", "source", "headers"))):
        page, headers = _get(inbox, path)
        assert page.count("<script") == 1  # the page's own
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "&lt;script&gt;" in page or path.startswith("/?")


def test_html_is_shown_in_a_sandbox(inbox: Inbox) -> None:
    """The HTML is only in a sandboxed frame, and its answer forbids scripts, forms and requests."""
    _send(inbox, _message("s1", html=f"<p>{EVIL}</p><img src=http://evil.example/x>"))
    page, _ = _get(inbox, "/mail/1")
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "evil.example" not in page
    html, headers = _get(inbox, "/mail/1/html")
    assert EVIL in html
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert _get(inbox, "/mail/1/raw")[1]["Content-Type"].startswith("text/plain")


def test_an_unknown_email_is_a_404(inbox: Inbox) -> None:
    """Unknown numbers answer 404."""
    for path in ("/mail/1", "/mail/99/html", "/mail/x"):
        with pytest.raises(urllib.error.HTTPError) as missing:
            _get(inbox, path)
        assert missing.value.code == 404


def test_pictures_of_an_email_are_shown() -> None:
    """The HTML part contains the pictures that the email carries, because the page loads nothing from elsewhere."""
    message = _message(html='<img src="cid:logo.1@takk"><img src="cid:other@takk">')
    part = message.get_body(("html",))
    assert isinstance(part, EmailMessage)
    part.add_related(b"picture", "image", "png", cid="<logo.1@takk>")
    part.add_related(b"<svg/>", "image", "svg+xml", cid="<other@takk>")
    mail = ReceivedEmail(1, ["a@post.example"], message.as_bytes(), 0)
    assert mail.html is not None
    assert mail.html.strip() == '<img src="data:image/png;base64,cGljdHVyZQ=="><img src="cid:other@takk">'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00 no header at all",
        b"Subject: =?utf-9?q?x?=\r\n\r\nx",
        b"Content-Type: text/html; charset=klingon\r\n\r\n<p>\xe6",
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\nno part',
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!",
    ],
)
def test_an_invalid_email_can_be_read(raw: bytes) -> None:
    """Reading an invalid email raises no error."""
    mail = ReceivedEmail(1, ["a@post.example"], raw, 0)
    assert isinstance((mail.subject, mail.headers, mail.html, mail.text, mail.send_id), tuple)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest bodies are dropped first, then the oldest emails; numbers stay, and the journal has all."""
    monkeypatch.setattr(server, "MAX_EMAILS", 5)
    monkeypatch.setattr(server, "MAX_BODY_BYTES", 3000)
    with Inbox(tmp_path / "journal.jsonl") as inbox:
        for number in range(8):
            _send(inbox, _message(f"s{number}"))
        kept = inbox.mails()
        assert [mail.number for mail in kept] == [4, 5, 6, 7, 8]
        assert kept[0].raw is None
        assert kept[-1].raw is not None
        assert inbox.mail(3) is None
        assert inbox.mail(8) is kept[-1]
        assert "dropped to save memory" in _get(inbox, "/mail/4")[0]
    assert len(_journal(tmp_path)) == 8


def test_an_incomplete_line_is_removed(tmp_path: Path) -> None:
    """An incomplete line was never acknowledged: it is not read, and the next run removes it."""
    path = tmp_path / "journal.jsonl"
    entry = JournalEntry("<a@b>", 1, 2, {})
    journal = Journal(path)
    journal.append(entry)
    journal.close()
    path.write_bytes(path.read_bytes() + b'{"message_id":"<half')
    assert list(read_journal(path)) == [entry]
    journal = Journal(path)
    journal.append(entry)
    journal.close()
    assert list(read_journal(path)) == [entry, entry]


def test_a_port_in_use(inbox: Inbox) -> None:
    """The message names the ports and what to do."""
    with pytest.raises(InboxStartError, match=rf"{inbox.smtp_port}.*Choose other ports"):
        Inbox(smtp_port=inbox.smtp_port).start()


def test_wait_for_times_out(inbox: Inbox) -> None:
    """Too few emails end in a TimeoutError with the numbers."""
    with pytest.raises(TimeoutError, match="0 of 1"):
        inbox.wait_for(1, 0.01)


@pytest.mark.parametrize("how", ["kill", "term", "eof"])
def test_the_journal_survives_every_end_of_the_process(tmp_path: Path, how: str) -> None:
    """The process prints its ports, accepts emails, and stops at SIGTERM and at the end of stdin; after kill -9 the journal is complete."""
    path = tmp_path / "journal.jsonl"
    command = [sys.executable, "-m", "streams.tools.local.inbox", "--until-eof", "--journal", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        with smtplib.SMTP("127.0.0.1", ports["smtp_port"], timeout=60) as client:
            client.send_message(_message(), "bounce@shop.example", ["a@post.example"])
        if how == "kill":
            process.kill()
        elif how == "term":
            os.kill(process.pid, signal.SIGTERM)
        else:
            process.stdin.close()
        assert process.wait(10) == (-signal.SIGKILL if how == "kill" else 0)
    assert _journal(tmp_path) == ["<s1@shop.example>"]


def test_a_behaviour_receives_the_envelope(inbox: Inbox) -> None:
    """A behaviour can decide by sender, recipients and content."""
    envelopes: list[tuple[str | None, list[str], bool]] = []

    def inspect(envelope: Envelope) -> str | None:
        envelopes.append((envelope.mail_from, envelope.rcpt_tos, b"Message-ID: <s1@" in envelope.content))
        return None

    inbox.behaviour = inspect
    _send(inbox, _message())
    assert envelopes == [("bounce@shop.example", ["aase@post.example"], True)]
