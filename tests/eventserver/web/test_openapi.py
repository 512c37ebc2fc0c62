"""The OpenAPI document: true, complete, and its examples work."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from support.archives import MANIFEST, tgz
from support.uploads import form

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
async def document(client: TestClient) -> dict[str, Any]:
    """Return the document as it is served."""
    return await (await client.get("/api/v1/openapi.json")).json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and operation."""
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


async def test_both_addresses(client: TestClient, document: dict[str, Any]) -> None:
    """The predecessor's address gives the same document."""
    assert await (await client.get("/api/v1/swagger")).json() == document


async def test_complete(document: dict[str, Any], app: web.Application) -> None:
    """Each route is described, and nothing else is."""
    described = {(method.upper(), path) for path, method, _ in operations(document)}
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method not in {"*", "HEAD"}
    }
    assert described == routes


async def test_references(document: dict[str, Any]) -> None:
    """Whatever is referred to is there, and every operation has a name of its own."""
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    for piece in text.split('"$ref": "')[1:]:
        assert piece.split('"')[0].removeprefix("#/components/schemas/") in schemas
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


async def test_schemas_are_schemas(document: dict[str, Any]) -> None:
    """Each schema is JSON Schema of the draft that OpenAPI 3.1 names."""
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_event_types(document: dict[str, Any], client: TestClient) -> None:
    """What a new event may be is one of the event types in force."""
    types = await (await client.get("/api/v1/event-types")).json()
    names = {f"{one['eventTypeId']}.{one['eventTypeVersion']}" for one in types}
    new = document["components"]["schemas"]["NewEvent"]["anyOf"]
    assert {one["$ref"].rpartition("/")[2] for one in new} == names


async def test_examples_work(document: dict[str, Any], client: TestClient) -> None:
    """Each example of a request is taken, and each parameter's example finds something."""
    bundle = await (await client.post("/api/v1/files", data=form(tgz()))).json()
    for path, method, operation in operations(document):
        for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
            if media_type == "multipart/form-data":
                continue  # an archive can't be written down as an example; it was sent above
            values = [example["value"] for example in media.get("examples", {}).values()] or [media["example"]]
            for value in values:
                body = value if isinstance(value, str) else json.dumps(value)
                answer = await client.request(
                    method, path, data=BytesIO(body.encode()), headers={"Content-Type": media_type}
                )
                assert answer.status in {200, 201}, (path, value)
    for template, method, operation in operations(document):
        if method != "get" or operation["tags"] in (["quarantine"], ["listeners"]):
            continue
        path = template
        query = {}
        for parameter in document["paths"][template].get("parameters", []) + operation.get("parameters", []):
            of_bundle = {"uuid": bundle["uuid"], "path": MANIFEST} if operation["tags"] == ["bundles"] else {}
            example = of_bundle.get(parameter["name"]) or parameter.get(
                "example", parameter["schema"].get("enum", [None])[0]
            )
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", str(example))
            elif "example" in parameter:
                query[parameter["name"]] = example
        answer = await client.get(path, params=query)
        assert answer.status == 200, path
