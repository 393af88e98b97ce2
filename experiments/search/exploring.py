"""Exploring: of the candidates that the record could not say anything of, those that a reward model finds promising."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import TypeAdapter

from experiments.search.job import Job
from experiments.whole_file import read_whole, write_whole
from optimizers.collect.gathering import DRAWN
from optimizers.search import Found
from signatures.errors import EvidenceError, StoreError
from signatures.records import Episode

if TYPE_CHECKING:
    from optimizers.episode_log import EpisodeLog
    from optimizers.replay.views import Views
    from optimizers.reward.calibration import Calibration

CHOSEN: Final = "explored.json"
"""Kept in the run folder, where there was something to explore: the candidates that were chosen, by digest."""
_DIGESTS: Final = TypeAdapter(tuple[str, ...])


async def promising(job: Job, aside: Sequence[Found]) -> list[Found]:
    """At most `config.explore` of these candidates, the best first by the reward model. Its word decides nothing else.

    None where the corpus holds no episode that was drawn with a floor: what always does the same shows no difference.
    The choice is kept in the run folder, since the corpus grows while a run goes on.
    """
    if not aside or not job.config.explore:
        return []
    kept = job.folder / CHOSEN
    text = read_whole(kept)
    if text is None:
        text = _DIGESTS.dump_json(await _ranked(job, aside)).decode()
        write_whole(kept, text + "\n")
    try:
        chosen = _DIGESTS.validate_json(text)
    except ValueError as error:
        raise StoreError(f"{kept}: cannot be read: {error}") from error
    by_digest = {one.candidate.digest: one for one in aside}
    return [by_digest[digest] for digest in chosen]


class Drawn(NamedTuple):
    """The episodes of the search split whose moves were drawn at random, as a reward model reads them."""

    log: EpisodeLog
    version: str
    "of the corpus, as far as it was read"
    views: Views | None
    "where a model decides: what it is shown in each state"


async def _drawn(job: Job) -> Drawn:
    """What the corpus holds now. Other workers' episodes in it are left out."""
    from optimizers.features import Logged, logged, tables_of
    from optimizers.replay.views import views_of

    setup = job.wired.setup
    mark = await setup.corpus.high_water()
    tables = await tables_of(setup.corpus, until=mark)
    fingerprint, revision = setup.worker.fingerprint, setup.judge.revision
    episodes = [one async for one in setup.corpus.scan(Episode, {"split": "search"}, until=mark)]
    mine = {one.id: one.selected_id for one in episodes if (one.condition, one.worker) == (DRAWN, fingerprint)}
    chosen = [id for id in mine.values() if id is not None]
    outcomes = await job.wired.ledger.scores(
        "search", list(mine), reader="evaluator", judge=revision, attempt_ids=chosen
    )
    found = logged(tables, outcomes, setup.objectives, each_round=job.wired.lm is not None)
    rows = [row for row, id in enumerate(found.episode_ids) if id in mine]
    log = found.log.take(rows)
    named = Logged(log, tuple(found.episode_ids[row] for row in rows))
    views = None if job.wired.lm is None else await views_of(setup.corpus, named, job.wired.benchmark.tasks("search"))
    return Drawn(log, f"{fingerprint.name} at {mark}", views)


async def _ranked(job: Job, aside: Sequence[Found]) -> tuple[str, ...]:
    """Digests of the most promising; a line on what was done, or on why nothing was."""
    from controllers.program import PROGRAM, controller_of
    from optimizers.replay.asking import Asking
    from optimizers.replay.targets import target_of
    from optimizers.reward.prediction_log import PredictionLog
    from optimizers.reward_model import RewardModels, best_first

    try:
        drawn = await _drawn(job)
        if not drawn.log.n:
            why = "no recorded episode drew its moves at random (python -m experiments.collect_run records some)"
            job.say(f"{len(aside)} candidates without support: not explored, {why}")
            return ()
        aside = [
            one for one in aside if PROGRAM not in one.candidate.components
        ]  # a logged round has no weights of a program
        if not aside:
            return ()
        named = {one.candidate.digest: controller_of(one.candidate, job.wired.lm) for one in aside}
        target = await target_of(drawn.log, named, job.replay.asking or Asking(), views=drawn.views)
        with closing(PredictionLog(job.folder / "predictions.jsonl")) as predictions:
            models = RewardModels(predictions)
            ranked = models.rank(drawn.version, drawn.log, target)
            job.say(_trusted(models.model_for(drawn.version, drawn.log).calibration[0]))
        first = best_first(ranked, drawn.log.objectives)[: job.config.explore]
    except EvidenceError as error:
        job.say(f"{len(aside)} candidates without support: not explored, {error}")
        return ()
    names = {one.candidate.digest: one.name for one in aside}
    shown = ", ".join(names[one.candidate] for one in first)
    job.say(f"{len(aside)} candidates without support: the reward model would try {shown}")
    return tuple(one.candidate for one in first)


def _trusted(found: Calibration) -> str:
    """How far the model's word goes, in one line."""
    rank = "none" if found.spearman is None else f"{found.spearman:.2f}"
    return (
        f"reward model of {found.objective}, on {found.n} rounds of {found.tasks} tasks that it had not seen: "
        f"calibration error {found.ece:.3f}, Brier {found.brier:.3f} (a constant has {found.base_brier:.3f}), "
        f"rank correlation {rank}"
    )
