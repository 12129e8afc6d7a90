"""The messages of a folder as emails: their languages, examples and purposes, and what happens with those that cannot be rendered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.tools.preview.emails import LINK_BASE, EmailFailed, Emails, Variant
from streams.tools.preview.examples import read_example
from tests.harness.commands import TEMPLATES
from tests.harness.small_templates import FLOW, write_folder


def test_every_shipped_message_is_an_email() -> None:
    """Each message is rendered in each language with its example and with sample data."""
    emails = Emails(TEMPLATES)
    variants = list(emails.variants(has_samples=True))
    assert {variant.example for variant in variants} >= {"example", "full", "least"}
    assert {(variant.flow, variant.message) for variant in variants} == set(emails.messages)
    for variant in variants:
        assert emails.email(variant).subject


def test_variants(tmp_path: Path) -> None:
    """Examples of the shop stand alone, unless samples are asked for; languages are in the order of the shop."""
    emails = Emails(write_folder(tmp_path))
    assert list(emails.messages) == [("hello", "bye"), ("hello", "hi")]
    message = emails.messages[("hello", "hi")]
    assert (message.group, message.languages, message.examples) == ("care", ("en", "da"), ("example", "full", "least"))
    assert message.purpose == "marketing"
    assert [each.name for each in emails.variants()][:2] == ["hello.bye.en.example", "hello.bye.da.example"]
    assert len(list(emails.variants(has_samples=True))) == 12
    assert emails.email(Variant("hello", "hi", "da", "example")).subject == "Hej there"
    assert "Hej Anna" in emails.email(Variant("hello", "hi", "da", "example")).html


def test_examples_of_one_message(tmp_path: Path) -> None:
    """A message with examples of its own is shown with those only, and no other message is."""
    root = write_folder(tmp_path)
    for name in ("hi", "hi.vip", "vip"):
        (root / FLOW / f"example.{name}.json").write_text('{"customer": {"first_name": "Bo"}}')
    messages = Emails(root).messages
    assert messages[("hello", "hi")].examples == ("hi", "hi.vip", "full", "least")
    assert messages[("hello", "bye")].examples[:2] == ("example", "vip")


def test_a_message_with_the_name_of_the_example(tmp_path: Path) -> None:
    """`example.json` is for every message, also if one of them is called `example`."""
    root = write_folder(tmp_path)
    (root / FLOW / "example.html.j2").write_text("<p>Hi</p>")
    messages = Emails(root).messages
    for message in ("hi", "example"):
        assert messages[("hello", message)].examples[0] == "example"


def test_examples_of_parcels_are_possible() -> None:
    """A parcel has a reason of an exception if it has one. Its reason is one for which the flow sends the message."""
    emails = Emails(TEMPLATES)
    flow = (emails.messages[("delivery-problem", "absent")].folder / "flow.yaml").read_text(encoding="utf-8")
    branches = re.findall(r"when: shipment.exception_reason (.*)\n +steps:\n +- send: {message: (\w+)", flow)
    reasons = {message: re.findall(r"'(\w+)'", condition) for condition, message in branches}
    elsewhere = {reason for found in reasons.values() for reason in found}
    assert len(reasons) == 3
    for variant in emails.variants():
        message = emails.messages[(variant.flow, variant.message)]
        data = read_example(message.folder, variant.example, message.definition, message.step)
        if parcel := data.get("shipment"):
            assert (parcel["status"] == "exception") == bool(parcel["exception_reason"]), variant.name
        if variant.flow == "delivery-problem":
            reason = data["shipment"]["exception_reason"]
            assert reason in reasons.get(variant.message, {reason} - elsewhere), variant.name


def test_more_examples(tmp_path: Path) -> None:
    """A further example is named by its file."""
    root = write_folder(tmp_path)
    (root / FLOW / "example.vip.json").write_text('{"customer": {"first_name": "Bo"}}')
    emails = Emails(root)
    assert emails.messages[("hello", "hi")].examples == ("example", "vip", "full", "least")
    assert "Hello Bo" in emails.email(Variant("hello", "hi", "en", "vip")).html


def test_links_lead_nowhere(tmp_path: Path) -> None:
    """An email has the links of its purpose, to a host that cannot exist, and no tracking pixel."""
    emails = Emails(write_folder(tmp_path))
    assert f'href="{LINK_BASE}/u/' in emails.email(Variant("hello", "hi", "en", "full")).html
    assert emails.links(emails.command(Variant("hello", "hi", "en", "full"))).pixel is None


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("hi.html.j2", "{{ ordr.total }}", "ordr"),
        ("example.json", "[1]", "not a JSON object"),
        ("example.json", "{", "example.json"),
    ],
)
def test_a_broken_message(tmp_path: Path, file: str, content: str, reason: str) -> None:
    """The reason of a message that cannot be rendered is its error; other messages stay."""
    root = write_folder(tmp_path)
    (root / FLOW / file).write_text(content)
    emails = Emails(root)
    with pytest.raises(EmailFailed, match=reason):
        emails.email(Variant("hello", "hi", "en", "example"))
    assert emails.email(Variant("hello", "bye", "en", "full")).subject == "Goodbye"


def test_a_flow_with_errors(tmp_path: Path) -> None:
    """The messages of an invalid flow are still shown with the shop's example."""
    root = write_folder(tmp_path)
    (root / FLOW / "flow.yaml").write_text("flow: hello\nversion: one\n")
    emails = Emails(root)
    assert emails.messages[("hello", "hi")].examples == ("example",)
    assert emails.email(Variant("hello", "hi", "en", "example")).subject == "Hello there"


def test_unknown(tmp_path: Path) -> None:
    """An unknown message or example is an error."""
    emails = Emails(write_folder(tmp_path))
    for variant in (Variant("hello", "no", "en", "example"), Variant("hello", "hi", "en", "no")):
        with pytest.raises(EmailFailed, match="unknown"):
            emails.email(variant)
