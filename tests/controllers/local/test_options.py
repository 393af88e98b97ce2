from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from controllers.local.options import OWN, ServerOptions, is_local, options_of, snapshot
from signatures.errors import UsageError


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "small-model.Q4.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    return path


def test_only_the_prefix_makes_a_model_local() -> None:
    assert is_local("local:/m.gguf")
    assert not is_local("local/m")
    assert not is_local("openai/local:m")


def test_settings_are_split_between_the_server_and_its_requests(gguf: Path) -> None:
    options, rest = options_of(f"local:{gguf}", {"slots": 2, "threads": 1, "temperature": 0.5, "seed": 3})
    assert (options.path, options.slots, options.threads, options.name) == (str(gguf), 2, 1, "small-model.Q4")
    assert rest == {"temperature": 0.5, "seed": 3}


def test_a_path_is_taken_from_the_current_folder_and_from_home(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(gguf.parent)
    monkeypatch.setenv("HOME", str(gguf.parent))
    here, _ = options_of(f"local:{gguf.name}", {})
    home, _ = options_of(f"local:~/{gguf.name}", {})
    assert here == home == ServerOptions(path=str(gguf))


def test_settings_in_the_string_are_put_over_the_others(gguf: Path) -> None:
    options, rest = options_of(f"local:{gguf}?slots=2&temperature=0.8&stop=END", {"temperature": 0.1, "seed": 3})
    assert (options.path, options.slots) == (str(gguf), 2)
    assert rest == {"temperature": 0.8, "seed": 3, "stop": "END"}


def test_a_file_whose_name_holds_a_question_mark_is_a_file(gguf: Path) -> None:
    odd = gguf.rename(gguf.with_name("what?a=1.gguf"))
    options, rest = options_of(f"local:{odd}", {})
    assert (options.path, rest) == (str(odd), {})


def test_what_follows_a_question_mark_must_be_settings(gguf: Path) -> None:
    with pytest.raises(UsageError, match="such as temperature="):
        options_of(f"local:{gguf}?hot", {})


def test_a_snapshot_names_the_bytes_and_not_the_file(gguf: Path) -> None:
    twin = gguf.with_name("twin.gguf")
    twin.write_bytes(gguf.read_bytes())
    assert snapshot(str(gguf)) == snapshot(str(twin)) == hashlib.sha256(gguf.read_bytes()).hexdigest()[:12]
    with pytest.raises(UsageError, match="No such file"):
        snapshot(str(gguf.with_name("gone.gguf")))


def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("not a model")
    for path, said in (("/nowhere/m.gguf", "No such file"), (str(text), "is not GGUF"), (str(tmp_path), "directory")):
        with pytest.raises(UsageError, match=said) as caught:
            options_of(f"local:{path}", {})
        assert path in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(OWN - {"start_timeout_s", "timeout_s", "grace_s", "cache_mib"}))
def test_a_bad_setting_is_named(gguf: Path, name: str) -> None:
    with pytest.raises(UsageError, match=name):
        options_of(f"local:{gguf}", {name: 0})
