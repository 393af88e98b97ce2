"""Secrets known by value are blotted out, wherever they stand and however they overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controllers.capture.blotting import blotted, blotted_trace, long_enough, secrets_of
from signatures.records import TraceEvent

SECRET = st.text("abc", min_size=8, max_size=12)


def test_secrets_are_found_by_the_names_of_variables() -> None:
    environment = {
        "OPENAI_API_KEY": "k" * 20,
        "GH_TOKEN": "t" * 30,
        "DB_PASSWORD": "p" * 9,
        "SHORT_KEY": "none",
        "PATH": "/usr/bin:/bin",
        "KEYBOARD": "a long keyboard",
    }
    assert secrets_of(environment) == ("t" * 30, "k" * 20, "p" * 9)


@given(secrets=st.lists(SECRET, max_size=4), parts=st.lists(st.text("abc-", max_size=20), max_size=4))
def test_none_is_left(secrets: list[str], parts: list[str]) -> None:
    text = "-".join(piece for pair in zip(parts, [*secrets, *[""] * 4], strict=False) for piece in pair)
    clean = blotted(text, long_enough(*secrets))
    assert not any(secret in clean for secret in secrets)


def test_events_are_clean_in_each_field_and_themselves_where_there_is_nothing() -> None:
    plain = TraceEvent(turn=1, kind="tool", name="ls", arguments="{}", text="a.py")
    dirty = TraceEvent(turn=2, kind="tool", name="k" * 8, arguments='{"x":"kkkkkkkk"}', text="is kkkkkkkk", failed=True)
    clean = blotted_trace((plain, dirty), ("k" * 8,))
    assert clean[0] is plain
    assert "kkkkkkkk" not in clean[1].model_dump_json()
    assert (clean[1].turn, clean[1].kind, clean[1].failed) == (2, "tool", True)
