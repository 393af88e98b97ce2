"""What a demotion is judged on: the controller, its recorded decisions, the trees, and the answers on record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controllers.corpus import SqliteCorpus
from controllers.jsonlog import read_jsonlog
from controllers.lm import make_lm
from controllers.local.options import PREFIX, SAVED
from controllers.program import Controller, loads
from experiments import Benchmark
from experiments.catalogue import load_benchmark
from experiments.places import corpus_path
from experiments.recorded import outcomes_of
from experiments.tiers.config import DemoteConfig
from experiments.whole_file import write_whole
from experiments.wiring import model_of
from optimizers.collect.collecting import COLLECT
from optimizers.collect.gathering import recorded_tree
from optimizers.replay.tree import Tree, TreeReplay
from optimizers.setup import Grant
from optimizers.tiers.answered import LEARNED_FROM, Answered, answered
from signatures.digest import canonical_json, digest_text
from signatures.errors import NoSupport, UsageError
from signatures.records import Decision, Episode, PolicyName, Task

if TYPE_CHECKING:
    import dspy

ASKED: Final = "asked.jsonl"
"""Answers of models, in the folder of the run that asked for them."""


@dataclass(frozen=True)
class Material:
    """All that a proposal rests on."""

    benchmark: Benchmark
    controller: Controller
    models: tuple[str, ...]
    "that its policies ask"
    decided: Mapping[PolicyName, Answered]
    trees: TreeReplay
    tasks: tuple[Task, ...]
    "those with a tree"


async def material_of(config: DemoteConfig, lm: dspy.LM | None = None) -> Material:
    """Read all of it. `lm` is used instead of the model that the controller names.

    Raises UsageError for a controller that cannot be loaded or asks no model; NoSupport where nothing is recorded;
    StoreError.
    """
    benchmark = load_benchmark(config.benchmark, config.options)
    controller, models = loaded(config, lm)
    asking = {name: one for name, one in controller.policies.items() if one.tier != "rule"}
    digests = {name: digest_text(one.text) for name, one in asking.items()}
    path = corpus_path(config, Path(config.root), benchmark.id)
    with closing(SqliteCorpus.open_readonly(path)) as corpus:
        episodes = [one async for one in corpus.scan(Episode) if one.benchmark == benchmark.id]
        tasks = {one.id: one.task_digest for one in episodes if one.split in LEARNED_FROM}
        decided = answered([one async for one in corpus.scan(Decision)], tasks, digests)
        trees = await _trees(config, benchmark, corpus, [one for one in episodes if one.split == "search"])
    if not trees.trees:
        raise NoSupport(f"{path}: holds no recorded tree to value a controller on; record some with collect_run")
    there = tuple(task for task in benchmark.tasks("search") if task.digest in trees.trees)
    return Material(benchmark, controller, models, decided, trees, there)


def loaded(config: DemoteConfig, lm: dspy.LM | None = None) -> tuple[Controller, tuple[str, ...]]:
    """The saved controller and the models that it asks. Without `ask` no key is needed, since none is called.

    Raises UsageError.
    """
    path = Path(config.controller)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a controller: {error}") from error
    models = _models_in(path, text)
    if lm is not None:
        return loads(text, lm), models
    try:
        given = _given(config, models)
        return loads(text, {name: given.get(name) or _model(config, name) for name in models}), models
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def gather_answers(config: DemoteConfig, into: Path) -> int:
    """Write the recorded answers of searches into one file; how many lines. Raises UsageError, StoreError."""
    files = [Path(name) for name in config.answers] or sorted(Path(config.root).glob(f"*/{ASKED}"))
    if missing := [file for file in files if not file.is_file()]:
        raise UsageError(f"{missing[0]}: is no file of recorded answers")
    lines = dict.fromkeys(canonical_json(entry) for file in files if file != into for entry in read_jsonlog(file))
    write_whole(into, "".join(f"{line}\n" for line in lines))
    return len(lines)


def _models_in(path: Path, text: str) -> tuple[str, ...]:
    try:
        bodies = {name: json.loads(component) for name, component in json.loads(text)["components"].items()}
        names = [str(body["model"]) for body in bodies.values() if body.get("tier") != "rule"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path}: not a saved controller") from error
    if "program" in bodies:
        raise UsageError(
            f"{path}: is a strategy program: it has no decisions of a model that rules could make one by one"
        )
    if not names:
        raise UsageError(f"{path}: every decision is a rule's already")
    return tuple(dict.fromkeys(names))


def _given(config: DemoteConfig, models: tuple[str, ...]) -> dict[str, dspy.LM]:
    """The model that the config names, by the name that it is saved under. Raises UsageError for any other model."""
    lm = model_of(config.lm, config.api_base)
    if lm is None:
        return {}
    if lm.model not in models:
        raise UsageError(f"asks {', '.join(models)}, and --lm is {lm.model}")
    return {lm.model: lm}


def _model(config: DemoteConfig, name: str) -> dspy.LM:
    if not config.ask:
        return make_lm(name, {"api_key": "none: it is not called"})
    if name.startswith(SAVED):
        raise UsageError(f"asks {name}, which a file answers: name it with --lm {PREFIX}PATH")
    model = model_of(name, config.api_base)
    assert model is not None
    return model


async def _trees(
    config: DemoteConfig, benchmark: Benchmark, corpus: SqliteCorpus, episodes: Sequence[Episode]
) -> TreeReplay:
    grant = Grant(config.attempts, config.turns, ("none", *(one.action for one in benchmark.directives)))
    numbers = await outcomes_of(corpus, corpus.path, benchmark, episodes)
    grown = {one.task_digest for one in episodes if one.condition.startswith(COLLECT)}
    trees = {}
    for digest in sorted(grown & {task.digest for task in benchmark.tasks("search")}):
        if history := await recorded_tree(corpus, digest, depth=grant.attempts):
            trees[digest] = Tree(history, numbers)
    return TreeReplay(trees, benchmark, benchmark.objectives, grant)
