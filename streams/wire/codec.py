"""The codec of the project's schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streams.runtime.avro.codec import Codec, load_history, load_schemas
from streams.settings import PROJECT_ROOT
from streams.wire import topics

SCHEMAS = PROJECT_ROOT / "schemas"


def open_codec(registry_url: str | None = None, *, registry: Any = None, schemas: Path = SCHEMAS) -> Codec:
    """Return the codec of the schemas in `schemas` and of their former versions in `schemas/history`.

    Args:
        registry_url: URL of a schema registry. With None, records get Avro's single-object encoding.
        registry: a registry client to use instead of a new one for `registry_url`.
        schemas: folder of the `.avsc` files.

    Raises:
        ValueError, OSError: a schema cannot be read.
        SchemaRegistryError: the registry rejects a schema.
    """
    return Codec(
        load_schemas(schemas),
        registry_url,
        registry=registry,
        history=load_history(schemas / "history"),
        subjects=topics.subjects(),
    )
