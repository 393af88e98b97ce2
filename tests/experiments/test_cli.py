"""One line and one exit code for each error; a bug is not dressed up as a mistake of the caller's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer
from pydantic import BaseModel, ValidationError

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig
from signatures import errors
from signatures.errors import TillerError, UsageError


def family(kind: type[TillerError]) -> Iterator[type[TillerError]]:
    """The tree of `signatures/errors.py`; a room's own errors take what they say apart."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child)


class ToyConfig(RunConfig):
    seed: int = 0


class Toy(BaseModel):
    seed: int = 0


@pytest.mark.parametrize("kind", sorted(family(TillerError), key=lambda kind: kind.__name__))
def test_every_error_ends_with_its_own_code(kind: type[TillerError], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exits():
        raise kind("what happened")
    assert ended.value.code == kind.exit_code
    assert capsys.readouterr() == ("", "error: what happened\n")


def test_the_tree_gives_the_documented_codes() -> None:
    codes = {kind.__name__: kind.exit_code for kind in family(errors.TillerError)}
    assert (codes["UsageError"], codes["StoreError"], codes["NoSupport"], codes["FirewallBreach"]) == (2, 3, 4, 5)


def test_a_message_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), exits():
        raise UsageError("two\nlines \x1b[31mred\x07\u202e and a tab\there")
    assert capsys.readouterr().err == "error: two lines [31mred and a tab here\n"


def test_an_error_without_a_message_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), exits():
        raise UsageError
    assert capsys.readouterr().err == "error: UsageError\n"


def test_a_bad_config_names_its_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exits():
        ToyConfig.model_validate({"seed": "x"})
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: seed: Input should be a valid integer (got 'x')\n"


def test_another_models_error_is_a_bug_and_passes() -> None:
    with pytest.raises(ValidationError), exits():
        Toy.model_validate({"seed": "x"})
    with pytest.raises(ZeroDivisionError), exits():
        raise ZeroDivisionError


def test_an_interrupt_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exits(resume=lambda: "tiller-gepa --resume runs/7"):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted; resume with: tiller-gepa --resume runs/7\n"


@pytest.mark.parametrize("resume", [None, lambda: None])
def test_an_interrupt_before_there_is_a_run_says_only_that(resume: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), exits(resume=resume if callable(resume) else None):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "interrupted\n"


def test_nothing_raised_nothing_said(capsys: pytest.CaptureFixture[str]) -> None:
    with exits():
        pass
    assert capsys.readouterr() == ("", "")


def test_an_apps_traceback_is_plain_and_shows_no_locals(capsys: pytest.CaptureFixture[str]) -> None:
    app = new_app(help="A toy.")

    @app.command()
    def toy() -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        app([])
    with pytest.raises(SystemExit) as ended:
        app(["--help"])
    assert ended.value.code == 0
    assert "--install-completion" not in capsys.readouterr().out


def an_app() -> typer.Typer:
    app = new_app()

    @app.command()
    def add(seed: int = 0) -> None:
        if seed == 7:
            raise typer.Exit(5)

    return app


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--seed", "3"], 0, ""),
        (["--seed", "7"], 5, ""),
        (["--help"], 0, ""),
        (["--sede", "3"], 2, "--sede"),
        (["--seed", "many"], 2, "'--seed'"),
        (["extra"], 2, "extra"),
    ],
)
def test_what_typer_refuses_is_one_line(
    arguments: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        start(an_app(), arguments)
    assert ended.value.code == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == (1 if said else 0)
