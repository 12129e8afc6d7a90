"""API keys: a file with the hash, the shop and the roles of each key.

A key is `takk_<id>_<secret>`. The id finds the line of the file, and the secret has 256 random bits: so one SHA-256 of the whole key is a
sufficient hash. The file never contains a key.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
import yaml

from streams.core.values.text import nearest
from streams.gateway.api.kinds import ENDPOINTS

logger = structlog.get_logger(__name__)
#: The roles of keys: one for each endpoint, and `admin`, which may use all of them.
ADMIN = "admin"
ROLES = (*ENDPOINTS, ADMIN)
_KEY = re.compile(r"takk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_ID, _HASH = re.compile("[0-9a-f]{16}"), re.compile("[0-9a-f]{64}")
_FIELDS = ("id", "hash", "shop", "roles", "name")
#: Characters of the shop and of the name of a key.
MAX_TEXT = 100
#: Compared with a key whose id is unknown, so that an unknown id takes as long as a wrong secret.
_NO_HASH = "0" * 64


class KeyFileInvalid(ValueError):
    """A file of API keys that cannot be read. The message names the file, the entry and what to do."""


@dataclass(frozen=True)
class ApiKey:
    """A key, as the file has it.

    Attributes:
        id: 16 hexadecimal digits.
        hash: the SHA-256 of the key, in hexadecimal digits.
        roles: what it may be used for.
        shop: the shop whose orders it may write, as `shop_id` of an order; "" for all.
        name: for people.
    """

    id: str
    hash: str
    roles: frozenset[str]
    shop: str = ""
    name: str = ""

    def allows(self, role: str) -> bool:
        """Return whether the key has a role, or all of them."""
        return role in self.roles or ADMIN in self.roles


def create_key(roles: Iterable[str], shop: str = "", name: str = "") -> tuple[str, ApiKey]:
    """Return a new key, and its entry in the file."""
    number = secrets.token_hex(8)
    text = f"takk_{number}_{secrets.token_urlsafe(32)}"
    return text, ApiKey(number, _hash_of(text), frozenset(roles), shop, name)


def file_line(key: ApiKey) -> str:
    """Return the line of a key for the file, which is a list in YAML."""
    entry = {"id": key.id, "hash": key.hash, "roles": sorted(key.roles)}
    entry |= {field: value for field, value in (("shop", key.shop), ("name", key.name)) if value}
    return f"- {json.dumps(entry, ensure_ascii=False)}"


def read_keys(path: Path) -> dict[str, ApiKey]:
    """Return the keys in a file by their ids.

    Raises:
        KeyFileInvalid: the file cannot be read, or an entry is invalid.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeyFileInvalid(f"cannot read the API keys in {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise KeyFileInvalid(f"{path} is neither valid YAML nor valid JSON") from error
    if not isinstance(entries, list | None):
        raise KeyFileInvalid(f"{path} is not a list (hint: `takk api-key create` prints a line for it)")
    keys: dict[str, ApiKey] = {}
    for number, entry in enumerate(entries or (), 1):
        key = _parse_entry(entry, f"{path}, entry {number}")
        if key.id in keys:
            raise KeyFileInvalid(f"{path}, entry {number}: duplicate id {key.id}")
        keys[key.id] = key
    return keys


def _parse_entry(entry: Any, place: str) -> ApiKey:
    if not isinstance(entry, Mapping):
        raise KeyFileInvalid(f"{place}: expected a mapping with {', '.join(_FIELDS)}")
    for field in entry:
        if field not in _FIELDS:
            raise KeyFileInvalid(f"{place}: unknown field {field!r} (known: {', '.join(_FIELDS)})")
    texts = {field: entry.get(field, "") for field in _FIELDS if field != "roles"}
    for field, pattern in (("id", _ID), ("hash", _HASH)):
        if not isinstance(texts[field], str) or not pattern.fullmatch(texts[field]):
            # YAML reads an id of decimal digits as a number.
            raise KeyFileInvalid(f"{place}: {field} is not a text of hexadecimal digits (hint: put it in quotes)")
    for field in ("shop", "name"):
        if not isinstance(texts[field], str) or len(texts[field]) > MAX_TEXT:
            raise KeyFileInvalid(f"{place}: {field} is not a text of at most {MAX_TEXT} characters")
    roles = entry.get("roles")
    if not isinstance(roles, list) or not roles:
        raise KeyFileInvalid(f"{place}: roles is not a list with one of {', '.join(ROLES)}")
    for role in roles:
        if role not in ROLES:
            raise KeyFileInvalid(f"{place}: unknown role {role!r} ({nearest(str(role)[:MAX_TEXT], ROLES)})")
    return ApiKey(roles=frozenset(roles), **texts)


class KeyFile:
    """The keys in a file, which are read again when the file changes.

    Args:
        path: the file, or None: then no key is valid.

    Raises:
        KeyFileInvalid: as `read_keys`.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._version = self._stat()
        self._keys = read_keys(path) if path is not None else {}

    def find(self, text: str) -> ApiKey | None:
        """Return the entry of a key that a client sent, or None if the key is not valid."""
        self._reload()
        match = _KEY.fullmatch(text)
        key = self._keys.get(match[1]) if match else None
        is_equal = hmac.compare_digest(_hash_of(text), key.hash if key is not None else _NO_HASH)
        return key if is_equal else None

    def _reload(self) -> None:
        version = self._stat()
        if self._path is None or version == self._version:
            return
        self._version = version
        try:
            self._keys = read_keys(self._path)
            logger.info("API keys read again", count=len(self._keys))
        except KeyFileInvalid as error:
            # A typo in the file must not stop the orders of all shops.
            logger.error("invalid file of API keys, the former keys stay valid", error=error)

    def _stat(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _hash_of(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()
