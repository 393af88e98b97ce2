from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.redaction import MARK, may_hold_secrets, redacted, redacted_event, redacted_trace
from signatures.records import TraceEvent

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIBOwIBAAJBAKx\nabcdef==\n-----END RSA PRIVATE KEY-----"
SECRETS = [
    "sk-proj-a1B2c3D4e5F6g7H8i9",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ",
    "github_pat_0123456789abcdefghij",
    "glpat-0123456789abcdefghij",
    "sk_live_0123456789abc",
    "hf_0123456789abcdefghijkl",
    "xoxb-0123456789-abcdef",
    "AIza" + "B" * 35,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    KEY,
]
SAID = [
    ("curl https://me:hunter2hunter@host/x", "hunter2hunter"),
    ("Authorization: Bearer abcDEF123456ghi", "abcDEF123456ghi"),
    ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("sent bearer abcDEF123456ghi twice", "abcDEF123456ghi"),
    ("OPENAI_API_KEY=zzz98765", "zzz98765"),
    ("db_password: correct-horse", "correct-horse"),
    ('{"client_secret": "abcdefgh"}', "abcdefgh"),
    (r'"{\"access_token\": \"abcdefgh\"}"', "abcdefgh"),
]
PLAIN = [
    "",
    "a basic understanding of secret passwords",
    "max_tokens=1000000 and tokens: 12",
    "see https://host.example/path?q=1",
    "the bearer of good news",
    "risk-averse desk-work",
    "git@host.example:owner/name.git",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_by_its_shape_wherever_it_stands(secret: str) -> None:
    assert redacted(secret) == MARK
    assert redacted(f"it said '{secret}' and went on") == f"it said '{MARK}' and went on"


@pytest.mark.parametrize(("text", "secret"), SAID)
def test_a_secret_is_found_by_what_stands_before_it(text: str, secret: str) -> None:
    assert redacted(text) == text.replace(secret, MARK) or secret not in redacted(text)
    assert MARK in redacted(text)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_private_key_that_was_cut_off_is_blotted_out_too() -> None:
    assert "MIIB" not in redacted(KEY[:60])


@pytest.mark.parametrize("text", [*SECRETS, *(text for text, _ in SAID)])
def test_the_quick_look_misses_nothing_that_is_found(text: str) -> None:
    assert may_hold_secrets(["plain", text])
    assert not may_hold_secrets(["a plain answer", "with-words", '{"customer_id":"C1"}'])


@given(st.lists(st.one_of(st.sampled_from([*SECRETS, *(t for t, _ in SAID), *PLAIN]), st.text(max_size=8)), max_size=5))
def test_twice_is_once_and_no_known_secret_is_left(pieces: list[str]) -> None:
    once = redacted(" ".join(pieces))
    assert redacted(once) == once
    assert not [secret for secret in SECRETS if secret in once]


def test_arguments_that_were_json_still_are() -> None:
    arguments = json.dumps({"password": 12345678, "deep": [{"text": SECRETS[0]}], "n": 3, "ok": True})
    event = redacted_event(TraceEvent(turn=0, kind="tool", name="login", arguments=arguments, text="done"))
    assert json.loads(event.arguments) == {"password": MARK, "deep": [{"text": MARK}], "n": 3, "ok": True}
    assert (event.name, event.text, event.turn) == ("login", "done", 0)


def test_an_event_without_secrets_is_the_same_event() -> None:
    event = TraceEvent(turn=1, kind="tool", name="look", arguments='{ "at":  "key" }', text="a key on a desk")
    assert redacted_trace((event,))[0] is event


def test_a_long_text_made_to_be_slow_is_finished() -> None:
    """What is quadratic takes minutes here, and is ended by the time limit of a test."""
    for piece in (
        "-----BEGIN PRIVATE KEY-----",
        "password",
        "eyJ",
        "-eyJ",
        "://a:",
        "bearer ",
        "sk-",
        "authorization: ",
    ):
        assert redacted(piece * (1_000_000 // len(piece)) + f"\n{SECRETS[1]}").count(SECRETS[1]) == 0


def test_a_token_behind_a_dash_is_found() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
    assert redacted(f"saved as my-token-{token} now") == "saved as [redacted] now"
