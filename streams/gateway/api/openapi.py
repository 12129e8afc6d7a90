"""The description of the API: OpenAPI 3.1, generated from the Avro schemas."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import orjson

from streams.gateway.api.examples import EXAMPLES
from streams.gateway.api.json_schema import add_schemas
from streams.gateway.api.kinds import OPTIONAL, Target

_ABOUT = """Send orders, parcels, customers, products and events as JSON. Each record has the fields of the Avro schema of its topic.

- Send one record as `application/json`, or up to 1,000 as `application/x-ndjson`: one record per line, 4 MiB at most.
- Times are in ISO 8601 with an offset, or milliseconds since 1970. Amounts are minor units of the currency: 12950 is 129.50.
- Fields with a default may be left out. Unknown fields are refused.
- 202 means that the records are stored. A record that is accepted is one that Takk can process.
- Send a request again if it failed or got no answer: the same bytes have the same record ids. With the header `Idempotency-Key`, the
  id of a record depends on that header and on its place in the request instead. Use another value for each request.
- An invalid record of a batch does not stop the others. The answer has a result for each line."""
_SUMMARIES = {
    "orders": "Orders: placed, changed, paid, cancelled, refunded",
    "shipments": "Parcels and their statuses",
    "customers": "Profiles and consents of customers",
    "products": "Products of the catalogue",
    "events": "Reactions to emails, and products that customers viewed or put into the cart",
}
_TEXT = {"type": "string"}
_ISSUE = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "field": {"type": "string", "description": "The path of the field, such as lines[0].sku; missing: the record."},
        "message": {"type": "string", "description": "The reason."},
        "hint": {"type": "string", "description": "The remedy."},
    },
}
_ISSUES = {"type": "array", "items": {"$ref": "#/components/schemas/Issue"}}
_RESULT = {
    "type": "object",
    "required": ["status", "id"],
    "properties": {
        "line": {"type": "integer", "description": "The line of the batch, from 1."},
        "status": {"type": "integer", "enum": [202, 422]},
        "id": {"type": "string", "description": "The id of the record: the same if it is sent again."},
        "errors": _ISSUES,
        "warnings": {**_ISSUES, "description": "Parts of an accepted record that are not used."},
    },
}
_BATCH = {
    "type": "object",
    "required": ["accepted", "refused", "results"],
    "properties": {
        "accepted": {"type": "integer"},
        "refused": {"type": "integer"},
        "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
    },
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "A short name of the reason."},
        "detail": _TEXT,
        "hint": _TEXT,
        "id": _TEXT,
        "errors": _ISSUES,
    },
}
#: Status -> when it is the answer with a problem.
_PROBLEMS = {
    "400": "The body is empty or not complete, or Idempotency-Key is invalid.",
    "401": "The API key is missing or unknown.",
    "403": "The API key does not have the role.",
    "408": "The body arrived too slowly.",
    "413": "The body is too large, the batch has too many records, or Kafka refuses one of them.",
    "415": "The body is neither JSON nor NDJSON, or it is compressed.",
    "429": "The key has sent too many requests. Wait for the seconds in Retry-After.",
    "503": "No records are accepted now. Send the same request again after the seconds in Retry-After.",
}


_VISITORS: dict[str, Any] = {
    "operationId": "post_visitors",
    "summary": "A token by which the site script names a customer",
    "description": "Needs the role events. The token says who the visitor is, and is valid for 180 days. Give it to that customer's browser only.",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["customer_id"],
                    "properties": {"customer_id": _TEXT},
                    "additionalProperties": False,
                },
                "examples": {"customer": {"summary": "A customer who is logged in", "value": {"customer_id": "c-77"}}},
            }
        },
    },
    "responses": {
        "200": {
            "description": "The token.",
            "content": {
                "application/json": {
                    "schema": {"type": "object", "required": ["visitor"], "properties": {"visitor": _TEXT}}
                }
            },
        }
    },
}


def openapi(targets: Mapping[str, tuple[Target, ...]], server: str) -> dict[str, object]:
    """Return the OpenAPI document.

    Args:
        targets: the topics of each endpoint.
        server: the address of the gateway.
    """
    schemas: dict[str, Any] = {}
    paths = {}
    for endpoint, parts in targets.items():
        refs = [add_schemas(target.schema, OPTIONAL, schemas) for target in parts]
        paths[f"/v1/{endpoint}"] = {"post": _operation(endpoint, refs[0] if len(refs) == 1 else {"oneOf": refs})}
    problems = {status: _problem(text) for status, text in _PROBLEMS.items() if status != "503"}
    refused = {"422": _problem("The customer id is missing or invalid."), **problems}
    paths["/v1/visitors"] = {"post": {**_VISITORS, "responses": {**_VISITORS["responses"], **refused}}}
    schemas |= {"Issue": _ISSUE, "Result": _RESULT, "Batch": _BATCH, "Problem": _PROBLEM}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Takk", "version": version("takk"), "description": _ABOUT},
        "servers": [{"url": server}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key: `takk api-key create` makes one.",
                }
            },
        },
    }


def _operation(endpoint: str, record: dict[str, Any]) -> dict[str, Any]:
    examples = EXAMPLES[endpoint]
    lines = b"".join([orjson.dumps(value) + b"\n" for value in examples.values()]).decode()
    return {
        "operationId": f"post_{endpoint}",
        "summary": _SUMMARIES[endpoint],
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "A name of this request, such as a UUID. A repetition with the same name has the same record ids. Parts "
                "of a request that is split (413) are requests of their own: each needs another name.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": record,
                    "examples": {_name(title): {"summary": title, "value": value} for title, value in examples.items()},
                },
                "application/x-ndjson": {
                    "schema": {"type": "string", "description": "One record per line."},
                    "examples": {"batch": {"summary": "One record per line", "value": lines}},
                },
            },
        },
        "responses": {
            "202": _result("All records are stored."),
            "207": _content("Some records of the batch are stored, and some are refused.", "Batch"),
            "422": _result("No record is stored: each one is invalid.", "Problem"),
            **{status: _problem(text) for status, text in _PROBLEMS.items()},
        },
    }


def _name(title: str) -> str:
    return title.lower().replace(",", "").replace(" ", "-")


def _content(text: str, schema: str) -> dict[str, Any]:
    ref = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": text, "content": {"application/json": {"schema": ref}}}


def _result(text: str, single: str = "Result") -> dict[str, Any]:
    """Return a response that has one result for a single record, and the results of all lines for a batch."""
    if single == "Problem":
        problem = _problem(text)
        return problem | {"content": problem["content"] | _content(text, "Batch")["content"]}
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in (single, "Batch")]
    return {"description": text, "content": {"application/json": {"schema": {"oneOf": refs}}}}


def _problem(text: str) -> dict[str, Any]:
    ref = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {"application/problem+json": {"schema": ref}}}
