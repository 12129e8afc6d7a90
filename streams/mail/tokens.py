"""Sealed tokens of the links in emails: what a link says is encrypted and authenticated, so that nobody can read or change it.

A token is `<key id>.<base64url of AES-SIV>` (RFC 5297). AES-SIV is deterministic: rendering an email again gives the same links. Its
associated data is the use of the link, so that a token of one use is not valid for another; each use also has its own key (HKDF).
The gateway verifies a token without asking anybody.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from streams.core.values.tokens import MAX_CHARS, SEPARATOR, BadToken, from_text, hkdf, key_id, to_text

#: The kinds of links, which are also the first part of their paths; `v` is the visitor of the shop's site, which has no path.
Use = Literal["u", "o", "c", "p", "r", "s", "b", "f", "k", "a", "v"]
#: How long a token is valid, in days; `u` (unsubscribe) is valid without end. Reminders come up to a year after an order, but each email
#: has its own token.
VALID_FOR = timedelta(days=180)
#: The uses whose tokens never expire: a customer may unsubscribe from an email of any age.
PERMANENT: frozenset[str] = frozenset({"u"})
#: Bytes of a key of AES-SIV: two keys of 128 bits.
KEY_BYTES = 32

Reason = Literal["malformed", "unknown_key", "tampered", "expired", "foreign_shop"]


class BadLink(ValueError):
    """A token that is not valid. The gateway answers 404 to it.

    Attributes:
        reason: the label of the metric.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Link(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The content of a token, which has it as an array in MessagePack.

    Attributes:
        shop: id of the shop, the setting `shop_id`.
        customer_id: the customer whose email contains the link.
        send_id: the email.
        target: by use. u: the scope. c: the address. s: the question. r: the sku, or an empty text. b: the order. f: the code.
            k: the contest. a: the id of the request. o, p and v: an empty text.
        issued_on: day of the email, in days since 1970 UTC.
    """

    shop: str
    customer_id: str
    send_id: str
    target: str
    issued_on: int


_decoder = msgspec.msgpack.Decoder(Link)


class LinkKeys:
    """Seals and opens the tokens of one shop.

    Args:
        shop: id of the shop. A token of another shop is not valid.
        secret: seals and opens.
        old: secrets that only open.
    """

    def __init__(self, shop: str, secret: bytes, *old: bytes) -> None:
        self._shop = shop
        self._id = key_id(secret)
        self._secrets: dict[str, list[bytes]] = {}
        for known in (secret, *old):
            self._secrets.setdefault(key_id(known), []).append(known)
        #: Use -> its associated data, and its ciphers by the id of their secrets. Those that seal are the first of `self._id`.
        self._ciphers: dict[str, tuple[list[bytes], dict[str, list[AESSIV]]]] = {}

    def __getstate__(self) -> dict[str, object]:
        """Return the state for a renderer process, which makes its own ciphers: they cannot be pickled."""
        return {**self.__dict__, "_ciphers": {}}

    def seal(self, use: Use, customer_id: str, send_id: str, target: str, issued_at: datetime) -> str:
        """Return the URL-safe token of a link. The same arguments give the same token."""
        body = msgspec.msgpack.encode(Link(self._shop, customer_id, send_id, target, _day(issued_at)))
        associated, ciphers = self._ciphers.get(use) or self._ciphers_of(use)
        return self._id + SEPARATOR + to_text(ciphers[self._id][0].encrypt(body, associated))

    def open(self, use: Use, token: str, now: datetime) -> Link:
        """Return the content of a token.

        Args:
            use: the kind of link that the token was made for.
            token: the text in the path.
            now: UTC; the token may have expired.

        Raises:
            BadLink: the token is damaged or expired, or is for another use or shop.
        """
        if len(token) > MAX_CHARS:
            raise BadLink("malformed")
        number, separator, text = token.partition(SEPARATOR)
        if not separator:
            raise BadLink("malformed")
        try:
            sealed = from_text(text)
        except BadToken as error:
            raise BadLink("malformed") from error
        associated, ciphers = self._ciphers.get(use) or self._ciphers_of(use)
        if number not in ciphers:
            raise BadLink("unknown_key")
        for cipher in ciphers[number]:
            try:
                body = cipher.decrypt(sealed, associated)
                break
            except (InvalidTag, ValueError):
                continue
        else:
            raise BadLink("tampered")
        link = _decoder.decode(body)
        if link.shop != self._shop:
            raise BadLink("foreign_shop")
        if use not in PERMANENT and _day(now) - link.issued_on > VALID_FOR.days:
            raise BadLink("expired")
        return link

    def _ciphers_of(self, use: str) -> tuple[list[bytes], dict[str, list[AESSIV]]]:
        info = b"takk sealed link " + use.encode()
        ciphers = {
            number: [AESSIV(hkdf(secret, info, KEY_BYTES)) for secret in secrets]
            for number, secrets in self._secrets.items()
        }
        found = self._ciphers[use] = [use.encode()], ciphers
        return found


def _day(moment: datetime) -> int:
    return int(moment.timestamp() // 86_400)
