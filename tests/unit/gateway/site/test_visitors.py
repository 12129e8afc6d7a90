"""The addresses of redirects."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.site.visitors import ascii_address

#: The characters of an address that has its form already (RFC 3986), without the sign of an encoding.
RESERVED, UNRESERVED = ":/?#[]@!$&'()*+,;=", "abcXYZ019-._~"


@given(st.text(RESERVED + UNRESERVED))
def test_an_ascii_address_is_kept(address: str) -> None:
    """It is neither encoded nor parsed."""
    assert ascii_address(address) == address == quote(address, safe=RESERVED + UNRESERVED)


@given(st.text(RESERVED + UNRESERVED), st.sampled_from([" ", '"', "\\", "æ", "\n", "^"]))
def test_a_single_other_character_is_encoded(rest: str, other: str) -> None:
    """The quick way for ASCII addresses lets none of them through."""
    assert ascii_address(f"/{rest}{other}") == f"/{rest}{quote(other)}"
