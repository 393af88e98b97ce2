"""Where a token may stand, and what an agent is told that is refused; passing on is tested with the server."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

from controllers.capture.forwarding import KEY_HEADERS, NOT_SENT, refuse, shown_token


def test_the_token_is_found_in_each_header_that_clients_use() -> None:
    assert shown_token({"authorization": "Bearer abc"}) == ("authorization", "abc")
    assert shown_token({"authorization": "bearer abc "}) == ("authorization", "abc")
    for name in KEY_HEADERS[1:]:
        assert shown_token({"content-type": "x", name: "abc"}) == (name, "abc")
    assert shown_token({"cookie": "abc"}) == ("", "")


def test_no_header_of_an_agent_that_may_hold_a_key_goes_on() -> None:
    assert {*KEY_HEADERS, "cookie", "proxy-authorization"} <= NOT_SENT


async def test_a_refusal_is_an_error_that_clients_can_read() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await refuse(send, 401, "no")
    start, body = sent
    assert (start["status"], dict(start["headers"])[b"content-length"]) == (401, str(len(body["body"])).encode())
    assert json.loads(body["body"])["error"] == {"message": "no", "type": "proxy_error", "code": 401}
