"""The codec of the project's schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from streams.runtime.avro.codec import Codec
from streams.runtime.avro.schemas import load_history, load_schemas
from streams.settings import PROJECT_ROOT
from streams.wire import topics

SCHEMAS = PROJECT_ROOT / "schemas"


class RegistrySettings(Protocol):
    """The settings that `codec_of` needs."""

    @property
    def registry_address(self) -> str | None:
        """The URL of the schema registry without user and password, or None."""

    @property
    def registry_login(self) -> str | None:
        """`user:password` for the registry, or None."""

    @property
    def schemas_dir(self) -> Path:
        """The folder of the schemas."""


def codec_of(settings: RegistrySettings, registers_later: bool = False) -> Codec:
    """Return the codec of an installation. It raises what `open_codec` raises."""
    return open_codec(
        settings.registry_address,
        registry_login=settings.registry_login,
        schemas=Path(settings.schemas_dir),
        registers_later=registers_later,
    )


def open_codec(
    registry_url: str | None = None,
    *,
    registry_login: str | None = None,
    registry: Any = None,
    schemas: Path = SCHEMAS,
    registers_later: bool = False,
) -> Codec:
    """Return the codec of the schemas in `schemas` and of their former versions in `schemas/history`.

    Args:
        registry_url: URL of a schema registry, without user and password. With None, records get Avro's single-object encoding.
        registry_login: `user:password` for the registry, or None.
        registry: a registry client to use instead of a new one for `registry_url`.
        schemas: folder of the `.avsc` files.
        registers_later: whether the caller calls `Codec.register` before it encodes a record.

    Raises:
        ValueError, OSError: a schema cannot be read.
        RegistryUnavailable, SchemaRegistryError: as in `Codec.register`, unless `registers_later`.
    """
    return Codec(
        load_schemas(schemas),
        registry_url,
        registry_login=registry_login,
        registry=registry,
        history=load_history(schemas / "history"),
        subjects=topics.subjects(),
        registers_later=registers_later,
    )
