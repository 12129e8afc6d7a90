"""Signed tokens: a key per use, key ids, older secrets, and tokens of earlier versions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.values.tokens import BadToken, Keyring, hkdf, key_id, use_key
from streams.settings import PROJECT_ROOT
from tests.harness.tokens import signed_token, unkeyed_token

NEW, OLD, OTHER = b"a new secret, quite long", b"an old secret, quite long", b"of somebody else"
TEXTS = st.lists(st.text(), max_size=4)


def test_the_derivation_is_that_of_the_rfc() -> None:
    """Test cases 1 and 3 of RFC 5869."""
    first = hkdf(b"\x0b" * 22, bytes(range(0xF0, 0xFA)), 42, bytes(range(13)))
    assert first.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    third = hkdf(b"\x0b" * 22, b"", 42)
    assert third.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"


@given(TEXTS, st.sampled_from(["open", "review", "unsubscribe"]))
def test_tokens_verify_for_their_use_only(parts: list[str], use: str) -> None:
    """A token gives its parts back for its use, with its secret, also when that secret became an old one."""
    token = signed_token(OLD, use, *parts)
    assert Keyring(OLD).verify(use, token) == Keyring(NEW, OLD).verify(use, token) == tuple(parts)
    assert token.startswith(f"{key_id(OLD)}.")
    for keys, other in ((Keyring(OLD), "another"), (Keyring(NEW), use), (Keyring(OTHER, NEW), use)):
        with pytest.raises(BadToken):
            keys.verify(other, token)


@given(TEXTS)
def test_tokens_of_earlier_versions_still_verify(parts: list[str]) -> None:
    """Emails that were sent before key ids existed have links without one. They verify with the current and with old secrets."""
    token = unkeyed_token(OLD, "open", *parts)
    assert Keyring(OLD).verify("open", token) == Keyring(NEW, OTHER, OLD).verify("open", token) == tuple(parts)
    with pytest.raises(BadToken):
        Keyring(NEW).verify("open", token)
    with pytest.raises(BadToken):
        Keyring(OLD).verify("review", token)


def test_a_token_of_the_last_release() -> None:
    """The recorded token of an earlier version is verified."""
    functions = json.loads((PROJECT_ROOT / "tests/golden/ids.json").read_text())["functions"]
    token = next(line.removeprefix("token ") for line in functions if line.startswith("token "))
    assert Keyring(b"secret").verify("unsubscribe", token) == ("c1", "send", "Ø")


@given(st.text() | st.from_regex(rf"{key_id(NEW)}\.[A-Za-z0-9_-]*", fullmatch=True) | st.text("ABab-_.=", max_size=60))
def test_any_text_is_a_bad_token(text: str) -> None:
    """Whatever a browser sends raises BadToken, and nothing else."""
    with pytest.raises(BadToken):
        Keyring(NEW, OLD).verify("open", text)


@given(st.data())
def test_a_changed_token_is_bad(data: st.DataObject) -> None:
    """A token with one other character is not valid."""
    token = signed_token(NEW, "open", "s1", "c1", "x")
    at = data.draw(st.integers(0, len(token) - 2))  # the last character has unused bits
    other = data.draw(st.sampled_from("AbC0-_."))
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        with pytest.raises(BadToken):
            Keyring(NEW).verify("open", changed)


def test_keys_differ_by_use_and_secret() -> None:
    """No two uses or secrets share a key, and no key is the secret."""
    keys = {use_key(secret, use) for secret in (NEW, OLD) for use in ("open", "review", "unsubscribe")}
    assert len(keys) == 6
    assert NEW not in keys
