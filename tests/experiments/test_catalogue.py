"""Benchmarks are found by file name, or as the user's own class; what is not there is named with what is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.catalogue import benchmark_ids, load_benchmark
from signatures.errors import UsageError
from tests.worlds.planted import PlantedBenchmark

OWN = "tests.worlds.planted:PlantedBenchmark"


def test_the_folder_is_the_catalogue() -> None:
    folder = Path(sys.modules[load_benchmark.__module__].__file__ or "").parent / "benchmarks"
    assert set(benchmark_ids()) == {path.stem for path in folder.glob("[!_]*.py")}
    assert "telecom" in benchmark_ids()


def test_a_users_own_class_is_loaded_with_its_options() -> None:
    made = load_benchmark(OWN, {"noise": 0.25, "turns": 2})
    assert isinstance(made, PlantedBenchmark)
    assert (made.config.noise, made.config.turns) == (0.25, 2)


def test_without_options_the_defaults_count() -> None:
    made = load_benchmark(OWN)
    assert isinstance(made, PlantedBenchmark)
    assert made.config == PlantedBenchmark().config


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("telecon", "did you mean 'telecom'"),
        ("zzz", "there is humaneval, refactory, telecom"),
        ("no.such.module:Bench", "cannot import"),
        ("tests.worlds.planted:Nothing", "has no 'Nothing'"),
        ("../benchmarks/telecom", "unknown benchmark"),
        ("", "unknown benchmark"),
        (":PlantedBenchmark", "cannot import"),
    ],
)
def test_what_is_not_there_is_a_usage_error(id: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_benchmark(id)


@pytest.mark.parametrize("options", [{"nosie": 0.1}, {"noise": 2.0}, {"noise": "much"}, {"turns": 0}])
def test_a_bad_option_is_a_usage_error(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"options of {OWN}: {next(iter(options))}") as refused:
        load_benchmark(OWN, options)
    assert "\n" not in str(refused.value)


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Path]:
    """A folder on the path whose module `users_benchmarks` a test may write."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path / "users_benchmarks.py"
    sys.path.remove(str(tmp_path))
    sys.modules.pop("users_benchmarks", None)


LIKE_PLANTED = (
    "from tests.worlds.planted import PlantedBenchmark\nclass Plain(PlantedBenchmark):\n    def __init__(self"
)


def test_a_benchmark_may_take_no_options(module: Path) -> None:
    module.write_text(f"{LIKE_PLANTED}):\n        super().__init__()\n")
    assert load_benchmark("users_benchmarks:Plain").id == "planted"
    with pytest.raises(UsageError, match="takes no options; got noise"):
        load_benchmark("users_benchmarks:Plain", {"noise": 1})


def test_a_benchmark_that_needs_more_than_options_says_so(module: Path) -> None:
    module.write_text(f"{LIKE_PLANTED}, path):\n        super().__init__()\n")
    with pytest.raises(UsageError, match="needs path"):
        load_benchmark("users_benchmarks:Plain")


def test_a_class_that_is_no_benchmark_says_what_it_lacks(module: Path) -> None:
    module.write_text("class Plain:\n    id = 'plain'\n")
    with pytest.raises(UsageError, match="is not a benchmark: it lacks objectives, directives"):
        load_benchmark("users_benchmarks:Plain")


def test_a_module_that_does_not_parse_is_a_usage_error(module: Path) -> None:
    module.write_text("class Plain(:\n")
    with pytest.raises(UsageError, match="cannot import"):
        load_benchmark("users_benchmarks:Plain")


def test_what_is_no_class_is_a_usage_error(module: Path) -> None:
    module.write_text("Plain = 3\n")
    with pytest.raises(UsageError, match="is of type int"):
        load_benchmark("users_benchmarks:Plain")
