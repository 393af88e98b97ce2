"""From a corpus file to evidence: its trees and its logged episodes with their outcomes, for one benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controllers.corpus import SqliteCorpus
from experiments.catalogue import load_benchmark
from experiments.places import ledger_beside
from judges.ledger import VerdictLedger
from optimizers.collect.collecting import COLLECT
from optimizers.collect.gathering import DRAWN, recorded_tree
from optimizers.features import Tables, episode_log, tables_of
from optimizers.replay import Asked, Estimator, Evidence
from optimizers.replay.asking import Asking
from optimizers.replay.doubly_robust import DoublyRobust
from optimizers.replay.estimates import Estimate, Refusal
from optimizers.replay.exact_tree import ExactTree
from optimizers.replay.fqe import FittedQ
from optimizers.replay.fresh_draws import FreshDraws
from optimizers.replay.ips import Ips
from optimizers.replay.per_decision import PerDecisionSnips
from optimizers.replay.q_ridge import RidgeQ
from optimizers.replay.q_tabular import TabularQ
from optimizers.replay.snips import Snips
from optimizers.replay.targets import OF_PROGRAMS, target_of
from optimizers.replay.tree import Tree, TreeReplay
from optimizers.replay.weighted_doubly_robust import WeightedDoublyRobust
from optimizers.setup import Grant
from signatures.errors import UsageError
from signatures.records import Attempt, Episode, Objective

if TYPE_CHECKING:
    from controllers.program import Controller
    from experiments import Benchmark
    from experiments.replay_run import ReplayConfig


UNLOGGED: Final = "it weighs logged decisions, and no recorded episode says how likely its decisions were"
"""As in recordings of agents whose decisions nobody drew: trees of attempts may answer all the same."""


async def answers(config: ReplayConfig) -> list[Estimate | Refusal]:
    """One answer per controller and estimator, controllers outermost. Raises TillerError."""
    path = Path(config.corpus)
    controllers = _controllers(config.candidates)
    with closing(SqliteCorpus.open_readonly(path)) as corpus:
        episodes = [one async for one in corpus.scan(Episode, {"split": "search"})]
        benchmark = load_benchmark(config.benchmark or _only_benchmark(path, episodes), config.options)
        episodes = [one for one in episodes if one.benchmark == benchmark.id]
        numbers = await outcomes_of(corpus, path, benchmark, episodes)
        evidence = await evidence_of(corpus, benchmark, episodes, numbers, _grant(config, benchmark))
        chosen = estimators(config, evidence, benchmark.objectives)
        plain = {name: one for name, one in controllers.items() if one.program is None}
        target = None if evidence.log is None else await target_of(evidence.log, plain, Asking())
        programs = {name: one for name, one in controllers.items() if one.program is not None}
        of_rules = Asked(tuple(plain), tuple(plain.values()), target)
        of_programs = Asked(tuple(programs), tuple(programs.values()), None)
        found: list[list[Estimate | Refusal]] = []
        for one in chosen:
            if evidence.log is None and not isinstance(one, ExactTree | FreshDraws):
                found.append([Refusal(candidate=name, estimator=one.id, reason=UNLOGGED) for name in controllers])
                continue
            answered = dict(zip(plain, await one.estimate(evidence, of_rules) if plain else [], strict=True))
            if isinstance(one, ExactTree | FreshDraws):
                told = await one.estimate(evidence, of_programs) if programs else []
                answered |= dict(zip(programs, told, strict=True))
            else:
                answered |= {name: Refusal(candidate=name, estimator=one.id, reason=OF_PROGRAMS) for name in programs}
            found.append([answered[name] for name in controllers])
    return [answer for of_one in zip(*found, strict=True) for answer in of_one]


def estimators(config: ReplayConfig, evidence: Evidence, objectives: Sequence[Objective]) -> list[Estimator]:
    """Those that the config names, else all for which there is evidence. Raises UsageError."""
    trees: list[Estimator] = [ExactTree(), FreshDraws(config.attempts, objectives)]
    weighing: list[Estimator] = [Ips(), Snips(), PerDecisionSnips(), DoublyRobust(), WeightedDoublyRobust()]
    weighing += [FittedQ(TabularQ()), FittedQ(RidgeQ())]
    there = [*(trees if evidence.trees else []), *(weighing if evidence.log else [])]
    known = {one.id: one for one in (*trees, *weighing)}
    if unknown := [id for id in config.estimators if id not in known]:
        raise UsageError(f"unknown estimator {unknown[0]!r}; there are {', '.join(known)}")
    chosen = [known[id] for id in config.estimators] or there
    if not chosen:
        raise UsageError("nothing to replay: no tree of attempts and no episode with propensities; see collect_run")
    return chosen


async def evidence_of(
    corpus: SqliteCorpus,
    benchmark: Benchmark,
    episodes: Sequence[Episode],
    numbers: Mapping[str, float | None],
    grant: Grant,
) -> Evidence:
    """Trees of the episodes that a plan grew, arrays of those that a controller played; `numbers` by attempt id."""
    tasks = {task.digest: task for task in benchmark.tasks("search")}
    grown = {one.task_digest for one in episodes if one.condition.startswith(COLLECT)}
    trees = {}
    for digest in sorted(grown & set(tasks)):
        if history := await recorded_tree(corpus, digest, depth=grant.attempts):
            trees[digest] = Tree(history, numbers)
    outcomes = {one.id: numbers.get(one.selected_id or "") for one in episodes}
    log = episode_log(drawn(await tables_of(corpus), benchmark.id), outcomes, benchmark.objectives)
    return Evidence(
        log=log if log.n else None,
        trees=TreeReplay(trees, benchmark, benchmark.objectives, grant) if trees else None,
        tasks=[tasks[digest] for digest in trees],
    )


def drawn(tables: Tables, benchmark: str) -> Tables:
    """The benchmark's episodes that `collect_run` drew with a floor, or where there are none all of its episodes.

    An arm or a candidate of a search draws most of its moves with certainty: its episodes support nothing else.
    """
    import pyarrow.compute as pc

    ours = tables.episodes.filter(pc.equal(tables.episodes["benchmark"], benchmark))
    floored = ours.filter(pc.equal(ours["condition"], DRAWN))
    return tables._replace(episodes=floored if floored.num_rows else ours)


async def outcomes_of(
    corpus: SqliteCorpus, path: Path, benchmark: Benchmark, episodes: Sequence[Episode]
) -> Mapping[str, float | None]:
    """The judge's number of each attempt it scored, by attempt id; the checker's of `correct` where no ledger is."""
    beside = ledger_beside(path)
    if beside.is_file():
        with VerdictLedger(beside) as ledger:
            ids, revision = [one.id for one in episodes], benchmark.judge().revision
            return await ledger.attempt_scores("search", ids, reader="evaluator", judge=revision)
    found: dict[str, float | None] = {}
    async for attempt in corpus.scan(Attempt):
        check = attempt.check("correct")
        found[attempt.id] = None if check is None else check.value
    return found


def _controllers(files: Sequence[str]) -> dict[str, Controller]:
    from controllers.program import loads

    found: dict[str, Controller] = {}
    for file in files:
        name = Path(file).stem
        if name in found:
            name = file
        try:
            found[name] = loads(Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{file}: cannot be read: {error}") from error
        except UsageError as error:
            raise UsageError(f"{file}: {error}") from error
    return found


def _only_benchmark(path: Path, episodes: Sequence[Episode]) -> str:
    names = sorted({one.benchmark for one in episodes})
    if len(names) != 1:
        what = f"holds {', '.join(names)}: name one with benchmark=" if names else "holds no episode of a search split"
        raise UsageError(f"{path}: {what}")
    return names[0]


def _grant(config: ReplayConfig, benchmark: Benchmark) -> Grant:
    return Grant(config.attempts, config.turns, ("none", *(one.action for one in benchmark.directives)))
