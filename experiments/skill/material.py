"""From a corpus to questions: its trees are read, the questions mined and split by family."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from controllers.corpus import SqliteCorpus
from experiments import Benchmark
from experiments.catalogue import load_benchmark
from experiments.places import corpus_path
from experiments.skill.config import SkillConfig
from optimizers.collect.collecting import COLLECT
from optimizers.collect.gathering import recorded_tree
from optimizers.replay.tree import Tree, TreeReplay
from optimizers.setup import Grant
from optimizers.skill.mining import Mining, mined
from optimizers.skill.splitting import Sizes, Split, split
from signatures.errors import NoSupport
from signatures.records import Episode, PolicyName


@dataclass(frozen=True)
class Material:
    """The questions of a run."""

    benchmark: Benchmark
    corpus: Path
    worker: str
    "whose attempts were recorded"
    trees: int
    splits: dict[PolicyName, Split]
    mined: dict[PolicyName, int]
    "questions that the record answers, before any is drawn"
    lacking: dict[PolicyName, str]
    "why there is no question of a policy"


async def material_of(config: SkillConfig) -> Material:
    """Read and split. Raises UsageError, StoreError; NoSupport where there are questions of no policy."""
    benchmark = load_benchmark(config.benchmark, config.options)
    path = corpus_path(config, Path(config.root), benchmark.id)
    trees, worker = await _trees(config, benchmark, path)
    families, tasks = benchmark.families("search"), benchmark.tasks("search")
    sizes = Sizes(config.demos, config.calibration, config.test)
    splits: dict[PolicyName, Split] = {}
    lacking: dict[PolicyName, str] = {}
    counts: dict[PolicyName, int] = {}
    for policy in config.policies:
        questions = mined(trees, tasks, families, Mining(policy, config.margin, config.chars))
        counts[policy] = len(questions)
        try:
            splits[policy] = split(questions, sizes, seed=config.seed)
        except NoSupport as error:
            lacking[policy] = str(error)
    if not splits:
        raise NoSupport(f"{path}: " + "; ".join(f"{policy}: {why}" for policy, why in lacking.items()))
    return Material(benchmark, path, worker, len(trees.trees), splits, counts, lacking)


async def _trees(config: SkillConfig, benchmark: Benchmark, path: Path) -> tuple[TreeReplay, str]:
    """The recorded trees, without a verdict in them, and whose attempts they hold."""
    grant = Grant(config.attempts, config.turns, ("none", *(one.action for one in benchmark.directives)))
    trees: dict[str, Tree] = {}
    with closing(SqliteCorpus.open_readonly(path)) as corpus:
        wanted = {task.digest for task in benchmark.tasks("search")}
        grown: dict[str, str] = {}
        async for one in corpus.scan(Episode, {"split": "search"}):
            if one.condition.startswith(COLLECT) and one.task_digest in wanted:
                grown[one.task_digest] = " ".join(part for part in (one.worker.name, one.worker.model) if part)
        for digest in sorted(grown):
            if history := await recorded_tree(corpus, digest, depth=config.attempts):
                trees[digest] = Tree(history, {})
    if not trees:
        raise NoSupport(f"{path}: holds no recorded tree of {benchmark.id}; record some with collect_run")
    return TreeReplay(trees, benchmark, benchmark.objectives, grant), ", ".join(sorted(set(grown.values())))
