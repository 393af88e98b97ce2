"""A study: what the sampler asks is a function of its seed and of what it is told; the view opens in Optuna."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest

from optimizers.knobs.knob import Choice, Count, Level, Value, defaults
from optimizers.studies import Sampler, Study, StudyConfig, journal_of

KNOBS = (Choice("which", ("a", "b", "c"), "a"), Count("many", 1, 5, 2), Level("much", 0.0, 1.0, 0.5))
SAMPLERS: tuple[Sampler, ...] = ("tpe", "nsga2")


def worth(values: dict[str, Value]) -> tuple[float, float]:
    """Planted: `c` with much of it is good, and few is cheap."""
    return float(values["much"]) * (values["which"] == "c"), 1 - float(values["many"]) / 5


def asked(config: StudyConfig, trials: int) -> list[dict[str, Value]]:
    """What a study asks for; every fifth setting has no value, and `b` is not quite supported."""
    study = Study(KNOBS, ("good", "cheap"), config)
    study.begin(defaults(KNOBS))
    found = []
    for number in range(trials):
        one = study.ask()
        assert one.number == number
        values = dict(one.values)
        found.append(values)
        if number % 5 == 4:
            study.fail({"decision": "unsupported"})
        else:
            study.tell(worth(values), short=0.25 * (values["which"] == "b"), notes={"decision": "accepted"})
    return found


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_is_a_function_of_its_seed_and_of_what_it_is_told(sampler: Sampler) -> None:
    first, again, other = (asked(StudyConfig(sampler, seed=seed, population=4), 40) for seed in (1, 1, 2))
    assert first == again != other
    assert first[0] == defaults(KNOBS)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_finds_what_is_planted(sampler: Sampler) -> None:
    good = [worth(values)[0] for values in asked(StudyConfig(sampler, seed=3, population=8), 120)]
    assert sum(good[-40:]) / 40 > 1.5 * sum(good[:40]) / 40


def test_the_view_opens_in_optuna_with_every_trial(tmp_path: Path) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    values = asked(StudyConfig(seed=1, folder=tmp_path, name="one"), 12)
    asked(StudyConfig(seed=1, folder=tmp_path, name="one"), 12)  # a search that was begun again writes it anew
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal_of(tmp_path, "one"))))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.load_study(study_name="one", storage=storage)
        names = study.metric_names
    assert [trial.params for trial in study.trials] == values
    assert names == ["good", "cheap"]
    failed = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.FAIL]
    assert [trial.number for trial in failed] == [4, 9]
    assert {trial.user_attrs["decision"] for trial in failed} == {"unsupported"}
    shorts = {trial.params["which"]: trial.constraints for trial in study.trials if trial not in failed}
    assert all(found == {"without support": 0.25 * (which == "b")} for which, found in shorts.items())


def test_it_says_nothing_and_leaves_optunas_logging_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    optuna.logging.set_verbosity(logging.INFO)
    asked(StudyConfig(), 3)
    assert optuna.logging.get_verbosity() == logging.INFO
    said = capfd.readouterr()
    assert said.out == said.err == ""


def test_nothing_is_told_that_was_not_asked_for() -> None:
    study = Study(KNOBS, ("good", "cheap"), StudyConfig())
    with pytest.raises(AssertionError, match="ask comes before"):
        study.fail()
