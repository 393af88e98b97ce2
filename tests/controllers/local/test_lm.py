from __future__ import annotations

from pathlib import Path

import pytest

from controllers.local.engine import ChatEngine
from controllers.local.lm import constrained, endpoint_lm, is_endpoint, local_lm, takes_grammar
from controllers.local.options import snapshot
from controllers.scripted_engine import scripted_lm
from controllers.workers.chat import ChatWorker
from signatures.errors import UsageError

BASE = {"api_base": "http://127.0.0.1:9/v1"}


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "small.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    return path


def test_a_local_model_is_named_by_its_file_and_starts_nothing_yet(gguf: Path) -> None:
    pytest.importorskip("xllamacpp")
    lm = local_lm(f"local:{gguf}", {"temperature": 0.5, "slots": 2, "max_tokens": 9})
    assert lm.model == f"local/small@{snapshot(str(gguf))}"
    assert {key: value for key, value in lm.kwargs.items() if value is not None} == {
        "temperature": 0.5,
        "max_tokens": 9,
    }
    assert (lm.cache, lm.num_retries) == (False, 0)


def test_the_fingerprint_of_a_local_worker_holds_neither_path_nor_port(gguf: Path) -> None:
    pytest.importorskip("xllamacpp")
    one = ChatWorker(local_lm(f"local:{gguf}", {"temperature": 0.5, "slots": 2})).fingerprint
    other = ChatWorker(local_lm(f"local:{gguf}", {"temperature": 0.5, "slots": 3})).fingerprint
    assert one == other
    assert str(gguf.parent) not in one.model_dump_json()
    assert one.model == f"local/small@{snapshot(str(gguf))}"


def test_an_endpoint_is_an_unknown_openai_model_at_an_address() -> None:
    assert is_endpoint("openai/my-model", BASE)
    assert not is_endpoint("openai/my-model", {})
    assert not is_endpoint("openai/gpt-4o-mini", BASE)  # which dspy knows, with its price
    assert not is_endpoint("anthropic/my-model", BASE)


def test_a_key_is_none_where_nothing_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert endpoint_lm("openai/my-model", BASE).engine.source.api_key == "none"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    assert endpoint_lm("openai/my-model", BASE).engine.source.api_key == "sk-env"
    assert endpoint_lm("openai/my-model", {**BASE, "api_key": "sk-own"}).engine.source.api_key == "sk-own"


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"api_base='localhost:1' is no http address"):
        endpoint_lm("openai/my-model", {"api_base": "localhost:1"})


def test_a_connection_cannot_be_set_for_a_server_of_ours(gguf: Path) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(UsageError, match="api_base cannot be set here"):
        local_lm(f"local:{gguf}", BASE)


def test_a_grammar_is_for_local_models_alone(gguf: Path) -> None:
    pytest.importorskip("xllamacpp")
    lm = local_lm(f"local:{gguf}", {"temperature": 0.5})
    held = constrained(lm, "root ::= x")
    assert takes_grammar(lm)
    assert isinstance(held.engine, ChatEngine)
    assert (held.engine.grammar, held.kwargs["temperature"], lm.engine.grammar) == ("root ::= x", 0.5, "")
    for other in (scripted_lm(lambda _: "")[0], endpoint_lm("openai/my-model", BASE)):
        assert not takes_grammar(other)
        assert constrained(other, "root ::= x") is other
