"""A command that resumes: what it runs, what it refuses beside --resume, and what it says when it is stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config import RunConfig
from experiments.gate.learned.command import Arguments, play, resolved
from experiments.gate.run_folder import claim_folder

SMALL = {"size": 2}


class ToyConfig(RunConfig):
    size: int = 9
    seed: int = 0


class Toy:
    """Claims a folder, says its size, and may be stopped."""

    def __init__(self, root: Path, *, stopped: bool = False) -> None:
        self.root, self.stopped = root, stopped
        self.resumed: list[Path | None] = []

    def __call__(
        self,
        config: ToyConfig,
        *,
        resume: Path | None,
        say: Callable[[str], object],
        began: Callable[[Path], object],
    ) -> dict[str, object]:
        self.resumed.append(resume)
        folder = resume or claim_folder(config, self.root, "toy")
        began(folder)
        say(f"size {config.size}, seed {config.seed}")
        if self.stopped:
            raise KeyboardInterrupt
        return {"folder": str(folder)}


def asked(**changed: object) -> Arguments:
    return Arguments(None, [], None, False)._replace(**changed)  # type: ignore[arg-type]  # fields of Arguments


def test_overrides_go_over_quick_and_the_seed_over_both() -> None:
    assert resolved(ToyConfig, SMALL, asked()) == ToyConfig()
    assert resolved(ToyConfig, SMALL, asked(quick=True)).size == 2
    both = resolved(ToyConfig, SMALL, asked(quick=True, overrides=["size=5", "seed=1"], seed=3))
    assert (both.size, both.seed) == (5, 3)


def test_a_stopped_run_says_how_it_goes_on_and_goes_on_with_its_own_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        play("toy", ToyConfig, SMALL, Toy(tmp_path, stopped=True), asked(quick=True, seed=4))
    assert ended.value.code == 130
    printed = capsys.readouterr()
    assert printed.out == "size 2, seed 4\n"
    assert printed.err == f"interrupted; resume with: python -m toy --resume {tmp_path / 'toy-1'}\n"
    toy = Toy(tmp_path)
    play("toy", ToyConfig, SMALL, toy, asked(resume=tmp_path / "toy-1", as_json=True))
    assert toy.resumed == [tmp_path / "toy-1"]
    printed = capsys.readouterr()
    assert printed.err == "size 2, seed 4\n"
    assert json.loads(printed.out) == {"folder": str(tmp_path / "toy-1")}


@pytest.mark.parametrize("more", [{"quick": True}, {"seed": 0}, {"overrides": ["size=1"]}, {"config": Path("x.toml")}])
def test_resume_takes_no_other_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: dict[str, object]
) -> None:
    toy = Toy(tmp_path)
    with pytest.raises(SystemExit) as ended:
        play("toy", ToyConfig, SMALL, toy, asked(resume=tmp_path, **more))
    assert (ended.value.code, toy.resumed) == (2, [])
    assert "takes no other config" in capsys.readouterr().err
