"""Bodies are read as JSON, and described so that every reference in the description leads somewhere."""

from __future__ import annotations

import json

from cosyrt.service.bodies import described
from cosyrt.service.wire import SpeechBody
from tests.service.served import Served


def test_a_description_stands_by_itself() -> None:
    """No part of it refers to something outside of it."""
    text = json.dumps(described(SpeechBody, "application/json", "multipart/form-data"))

    assert "$ref" not in text and "$defs" not in text
    assert text.count('"alloy"') >= 1


def test_references_of_the_document_lead_somewhere(served: Served) -> None:
    """Every reference in /openapi.json is to something in it, and each route says what it is for."""
    document = served.ask("GET", "/openapi.json").json
    text = json.dumps(document)
    for name in {each.split('"')[0] for each in text.split('"$ref": "#/components/schemas/')[1:]}:
        assert name in document["components"]["schemas"]
    routes = [route for path in document["paths"].values() for route in path.values()]

    assert len(routes) > 15
    assert all(route.get("description") for route in routes)
