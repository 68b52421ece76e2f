"""Where clients put a key: OpenAI's, SillyTavern's empty one, Azure's header, a browser's WebSocket."""

from __future__ import annotations

import pytest

from cosyrt.service.credentials import key_in


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"authorization": "Bearer cv_a_b"}, "cv_a_b"),
        ({"authorization": "bearer  cv_a_b "}, "cv_a_b"),
        ({"authorization": "Bearer "}, None),
        ({"authorization": "Bearer"}, None),
        ({"authorization": "Basic dTpw"}, None),
        ({"x-api-key": "cv_a_b"}, "cv_a_b"),
        ({"authorization": "Bearer ", "x-api-key": "cv_a_b"}, "cv_a_b"),
        ({"sec-websocket-protocol": "realtime, openai-insecure-api-key.cv_a_b"}, "cv_a_b"),
        ({"sec-websocket-protocol": "realtime"}, None),
    ],
)
def test_a_key_is_found_where_clients_put_it(headers: dict[str, str], key: str | None) -> None:
    """An empty bearer is no key, and another header may still have one."""
    assert key_in(headers) == key
