"""Bodies of requests, read as JSON whatever their header says: `curl -d` calls its JSON a form."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

Body = TypeVar("Body", bound=BaseModel)


def described(model: type[BaseModel], *media_types: str) -> dict[str, Any]:
    """What the documentation of a route says about its body."""
    schema = model.model_json_schema(ref_template="{model}")
    schema = _inlined(schema, schema.pop("$defs", {}))
    kinds = media_types or ("application/json",)
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with each reference replaced by what it refers to: it stands outside of the document's own."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"]], definitions)
    return {name: _inlined(each, definitions) for name, each in schema.items()}


async def parsed(http: Request, model: type[Body]) -> Body:
    """The body of a request.

    Raises:
        ValidationError: a field that cannot be used, or no JSON object.
    """
    return model.model_validate_json(await http.body())
