"""Addresses as keys: spellings of one address have one hash, and other addresses have another."""

from __future__ import annotations

import pytest

from streams.core.values.addresses import HASH_BYTES, address_hash, address_key, guest_id, guest_key, normalise

KEY = address_key(b"c41b8e02d97f65a3e8107d4c")


@pytest.mark.parametrize(
    "spelling",
    [
        "anna@example.com",
        "ANNA@EXAMPLE.COM",
        "  Anna@Example.com\n",
        "\u200banna@example.com \ufeff",
    ],
)
def test_spellings_of_an_address_have_one_form(spelling: str) -> None:
    """Blanks around an address and upper case do not count."""
    assert normalise(spelling) == "anna@example.com"
    assert address_hash(KEY, spelling) == address_hash(KEY, "anna@example.com")


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("info@exämple.de", "info@xn--exmple-cua.de"),
        ("info@EXÄMPLE.de", "info@xn--exmple-cua.de"),
        ("info@xn--exmple-cua.de", "info@xn--exmple-cua.de"),
        ("Jörg@exämple.de", "jörg@xn--exmple-cua.de"),
        ("jo\u0308rg@example.de", "jörg@example.de"),
        ("info@-ä-.de", "info@-ä-.de"),
        ("anna", "anna"),
        ("", ""),
    ],
)
def test_domains_in_other_letters(address: str, form: str) -> None:
    """A domain has its ASCII form; one that IDNA does not allow, and a text that is not an address, stay as they are."""
    assert normalise(address) == form


@pytest.mark.parametrize(
    "other", ["a.nna@example.com", "anna+shop@example.com", "anna@example.org", "anna@mail.example.com"]
)
def test_dots_and_tags_are_other_addresses(other: str) -> None:
    """Dots, tags and other domains make another address."""
    assert address_hash(KEY, other) != address_hash(KEY, "anna@example.com")


def test_the_hash_depends_on_the_key() -> None:
    """The hash is short, does not change between versions, and cannot be computed without the key."""
    assert address_hash(KEY, "anna@example.com").hex() == "f0d5e5fb9f13273b578dcc0ad4f73d6c"
    assert len(address_hash(KEY, "")) == HASH_BYTES
    assert address_hash(address_key(b"another secret of the shop"), "anna@example.com") != address_hash(
        KEY, "anna@example.com"
    )


def test_the_id_of_a_guest() -> None:
    """It does not change between versions, is the same for all spellings of an address, and is not the hash of the suppressions."""
    secret = b"a secret of the shop, long enough"
    key = guest_key(secret)
    assert guest_id(key, "anna@example.com") == "guest-32e1fe6c1d621b78dcb0eb487fa1f942"
    assert guest_id(key, " Anna@EXAMPLE.com ") == guest_id(key, "anna@example.com")
    assert guest_id(key, "anna@example.org") != guest_id(key, "anna@example.com")
    assert guest_id(guest_key(b"another secret of the shop"), "anna@example.com") != guest_id(key, "anna@example.com")
    assert address_hash(address_key(secret), "anna@example.com").hex() not in guest_id(key, "anna@example.com")
