"""The description of the API: its structure, its schemas, and that they say what the API does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streams.gateway.api.examples import EXAMPLES
from streams.gateway.api.kinds import ENDPOINTS
from tests.harness.json_api import JsonApi, json_api

#: The rules of OpenAPI 3.1.0 for the parts that the document has.
STRUCTURE: dict[str, Any] = {
    "type": "object",
    "required": ["openapi", "info", "paths", "components"],
    "properties": {
        "openapi": {"const": "3.1.0"},
        "info": {"required": ["title", "version"]},
        "servers": {"type": "array", "items": {"required": ["url"]}},
        "paths": {
            "patternProperties": {"^/": {"additionalProperties": {"$ref": "#/$defs/operation"}}},
            "additionalProperties": False,
        },
        "components": {
            "properties": {
                "schemas": {"additionalProperties": {"type": "object"}},
                "securitySchemes": {"additionalProperties": {"required": ["type", "scheme"]}},
            },
            "additionalProperties": False,
        },
    },
    "$defs": {
        "operation": {
            "required": ["operationId", "responses"],
            "properties": {
                "parameters": {"items": {"required": ["name", "in", "schema"]}},
                "requestBody": {"required": ["content"], "properties": {"content": {"$ref": "#/$defs/content"}}},
                "responses": {
                    "patternProperties": {
                        "^[1-5][0-9]{2}$": {
                            "required": ["description"],
                            "properties": {"content": {"$ref": "#/$defs/content"}},
                        }
                    },
                    "additionalProperties": False,
                    "minProperties": 1,
                },
            },
            "propertyNames": {
                "enum": ["operationId", "summary", "description", "parameters", "requestBody", "responses"]
            },
        },
        "content": {
            "additionalProperties": {
                "properties": {
                    "schema": {"type": "object"},
                    "examples": {
                        "propertyNames": {"pattern": r"^[a-zA-Z0-9._-]+$"},
                        "additionalProperties": {"required": ["value"]},
                    },
                },
                "additionalProperties": False,
            }
        },
    },
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[JsonApi]:
    """The API on a server."""
    async with json_api(tmp_path) as served:
        yield served


@pytest.fixture
async def document(api: JsonApi) -> Any:
    """The description, as a client gets it without a key."""
    answer = await api.client.get("/v1/openapi.json")
    assert (answer.status, answer.content_type) == (200, "application/json")
    return await answer.json()


def references(part: Any) -> Iterator[str]:
    """Yield all references in a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


async def test_structure(document: Any) -> None:
    """The document has the parts that OpenAPI 3.1 requires, valid JSON Schemas, and references to what exists."""
    Draft202012Validator(STRUCTURE).validate(document)
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert set(references(document)) == {f"#/components/schemas/{name}" for name in schemas}
    ids = [path["post"]["operationId"] for path in document["paths"].values()]
    assert sorted(ids) == sorted([f"post_{endpoint}" for endpoint in (*ENDPOINTS, "visitors")])


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_examples_fit_the_schemas(document: Any, endpoint: str) -> None:
    """Each example is valid by the schema of its endpoint, and the batch contains all of them."""
    content = document["paths"][f"/v1/{endpoint}"]["post"]["requestBody"]["content"]
    schema = {**content["application/json"]["schema"], "components": document["components"]}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    values = [example["value"] for example in content["application/json"]["examples"].values()]
    for value in values:
        validator.validate(value)
        assert not validator.is_valid({**value, "unknwn": 1})
    batch = content["application/x-ndjson"]["examples"]["batch"]["value"]
    assert [json.loads(line) for line in batch.splitlines()] == values == list(EXAMPLES[endpoint].values())


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_batches_of_examples_are_accepted(api: JsonApi, document: Any, endpoint: str) -> None:
    """The batch of the examples is accepted as it is."""
    content = document["paths"][f"/v1/{endpoint}"]["post"]["requestBody"]["content"]
    batch = content["application/x-ndjson"]["examples"]["batch"]["value"]
    status, answer = await api.post(endpoint, batch.encode())
    assert (status, answer["refused"]) == (202, 0)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_required_fields(api: JsonApi, document: Any, endpoint: str) -> None:
    """The fields that the schema requires are those without which the API refuses a record."""
    schemas = document["components"]["schemas"]
    schema = document["paths"][f"/v1/{endpoint}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    refs = [part["$ref"].rpartition("/")[2] for part in schema.get("oneOf", [schema])]
    _, answer = await api.post(endpoint, {})
    assert [error["field"] for error in answer["errors"]] == schemas[refs[0]]["required"]
    assert {error["message"] for error in answer["errors"]} == {"missing field"}


async def test_answers_fit_the_schemas(api: JsonApi, document: Any) -> None:
    """Answers are valid by the schemas of the document."""
    components = {"components": document["components"]}
    responses = document["paths"]["/v1/orders"]["post"]["responses"]
    valid = json.dumps(EXAMPLES["orders"]["An order"]).encode()
    for body, status in ((valid, 202), (valid + b"\n{}", 207), (b"{}\n{}", 422)):
        found, answer = await api.post("orders", body)
        schema = responses[str(status)]["content"]["application/json"]["schema"]
        assert found == status
        Draft202012Validator({**schema, **components}).validate(answer)
    found, answer = await api.post("orders", {})
    schema = responses["422"]["content"]["application/problem+json"]["schema"]
    assert found == 422
    Draft202012Validator({**schema, **components}).validate(answer)
