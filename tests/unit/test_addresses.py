"""The parser of email addresses: what is one, what is not, and the form in which the program keeps it."""

from __future__ import annotations

import pytest

from streams.addresses import addresses_of, ascii_domain_of, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("anna@example.com", "anna@example.com"),
        ("anna@example.com ", "anna@example.com"),
        ("\t anna@example.com\r\n", "anna@example.com"),
        ("\u00a0anna@example.com\u200b", "anna@example.com"),
        ("\ufeffanna@example.com", "anna@example.com"),
        ("Anna.O'Neil+shop@Example.COM", "Anna.O'Neil+shop@Example.COM"),
        ("info@exämple.de", "info@xn--exmple-cua.de"),
        ("info@SMØRREBRØD.dk", "info@xn--smrrebrd-64af.dk"),
        ("jörg@exämple.de", "jörg@xn--exmple-cua.de"),
        ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_one_address(text: str, address: str) -> None:
    """Blanks and invisible characters around it are removed, and the domain is in ASCII; the rest stays. To parse it again changes nothing."""
    assert parse_address(text) == address
    assert parse_address(address) == address


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "@", "anna", "anna@", "@example.com", "anna@example.com, bo@example.com", "anna@example.com bo@example.com",
        "anna@example.com;bo@example.com", "Anna <anna@example.com>", "<anna@example.com>", "anna@example.com\r\nBcc: all@example.com",
        "an na@example.com", "jö rg@example.com", "anna@exam ple.com", "anna@example..com", "anna@.example.com", "anna@example.com.",
        "anna@-example.com", "anna@example_shop.com", "anna@[192.0.2.1]", "anna\x00@example.com", "anna@exa\u2028mple.com", "an\u202ena@example.com",
        "a" * 65 + "@example.com", "ö" * 33 + "@example.com", "a@" + "b" * 64 + ".com", "a@" + "bcd." * 63 + "com", "\ud800@example.com",
    ],
)  # fmt: skip
def test_not_one_address(text: str) -> None:
    """Two addresses, an address with a name, and everything that cannot be sent to is None."""
    assert parse_address(text) is None


def test_a_list_of_addresses() -> None:
    """A setting has addresses with commas between; the error names the part that is not one."""
    assert addresses_of(" ann@shop.example, ,bo@exämple.de") == ["ann@shop.example", "bo@xn--exmple-cua.de"]
    assert addresses_of("") == []
    with pytest.raises(ValueError, match="not a valid address: 'bo'"):
        addresses_of("ann@shop.example,bo")


def test_a_domain_without_an_ascii_form() -> None:
    """A domain that no mail server can have is an error."""
    for name in ("", "a..b", "-a.example", "\u2603\ufe0f.example\u3002.", "a b"):
        with pytest.raises(ValueError, match=r".+"):
            ascii_domain_of(name)
