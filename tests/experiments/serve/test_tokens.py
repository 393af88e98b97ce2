from __future__ import annotations

from pathlib import Path

import pytest

from experiments.serve.config import ServeConfig
from experiments.serve.tokens import VARIABLE, is_loopback, token_of
from signatures.errors import UsageError

LONG = "0123456789abcdef"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_where_only_this_machine_can_ask_a_token_is_made_each_time() -> None:
    first, second = token_of(ServeConfig()), token_of(ServeConfig())
    assert first.made
    assert first.text != second.text
    assert len(first.text) > 40


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "127.0.0.1.example.org"])
def test_where_others_can_ask_there_is_no_server_without_a_token(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="give a token"):
        token_of(ServeConfig(host=host))
    monkeypatch.setenv(VARIABLE, LONG)
    assert token_of(ServeConfig(host=host)) == (LONG, False)


def test_the_file_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "x" * 20)
    file = tmp_path / "token"
    file.write_text(f"{LONG}\n")
    assert token_of(ServeConfig(token_file=str(file))).text == LONG


@pytest.mark.parametrize("bad", ["", "short", "with a space in it 123", "line\nbreak" + LONG, "ü" * 20])
def test_a_token_that_could_be_guessed_or_misread_is_refused(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, bad)
    with pytest.raises(UsageError, match=VARIABLE):
        token_of(ServeConfig())


def test_a_token_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        token_of(ServeConfig(token_file=str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True)]
)
def test_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) is own
