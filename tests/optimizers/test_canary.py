"""The canary: a random token planted in every verdict never reaches what a model, a candidate or a record shows.

Each text that a search shows, proposes, keeps or saves is one try. The scripted model copies what it was shown into
its answers, so that a token shown once would spread: into steers, instructions, proposals, demos and their records.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from controllers.corpus import MemoryCorpus
from controllers.program import NAMES, controller_of, lm_component, loads
from controllers.prompts import render
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from controllers.steers import steer_table
from judges.records import Judgement, Verdict
from optimizers.evaluator import Evaluator, Request
from optimizers.evidence.analysis import analyse
from optimizers.evidence.contrast import shown_pairs, tree_pairs
from optimizers.evidence.episodes_told import shown_episodes
from optimizers.evidence.gathered import Evidence, evidence_of, gather
from optimizers.evidence.recurring import Findings
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.proposers import Proposer
from optimizers.proposers.lm import LMProposer, Material
from optimizers.proposers.mined import MinedProposer
from optimizers.proposers.recurring import RecurringProposer
from optimizers.replay.tree import TreeReplay
from optimizers.search import SearchPlan
from optimizers.search.gepa_search import GepaSearch
from optimizers.setup import Setup
from signatures.digest import digest_text
from signatures.errors import FirewallBreach, JudgeUnavailable
from signatures.records import Attempt, Candidate, Cost, Decision, Episode, PolicyName, Task
from tests.worlds.lab import ACTIONS, STEERS, Lab, Listening, lamp_follower, small_plan
from tests.worlds.planted import PlantedJudge


@dataclass
class Marked:
    """The planted judge with a token of its own in each verdict, in its reason, its parts and its errors."""

    mark: str = field(default_factory=lambda: f"canary{secrets.token_hex(6)}")
    tired: str = field(default_factory=lambda: f"tired{secrets.token_hex(6)}")
    "in the errors: no verdict, and no observation either"
    verdicts: int = 0
    revision: str = "marked 1"
    deterministic: bool = False

    async def judge(self, task: Task, output: str) -> Judgement:
        self.verdicts += 1
        token = f"{self.mark}x{self.verdicts}x"
        if self.verdicts % 50 == 0:
            raise JudgeUnavailable(self.tired)
        judgement = await PlantedJudge(canary=token).judge(task, output)
        return judgement.model_copy(update={"reason": f"{token} {judgement.reason}"})


@dataclass
class Watch:
    """Counts tries and hits by where the text was. The search's journal may say why a judge could not be asked."""

    judge: Marked
    tries: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)

    def look(self, where: str, *texts: str) -> None:
        self.tries[where] += len(texts)
        marks = [self.judge.mark, *([] if where == "journal" else [self.judge.tired])]
        self.hits[where] += sum(any(mark in text for mark in marks) for text in texts)

    def evidence(self, told: Evidence) -> None:
        """Whole episodes and pairs as a model would be shown them, each a try, and what names them."""
        for episode in told.episodes:
            self.look("whole episodes", *shown_episodes([episode], most_chars=10**7), episode.id)
        for pair in told.pairs:
            self.look("contrastive pairs", *shown_pairs([pair], most_chars=10**7), pair.id)


@dataclass
class Overheard:
    """Passes questions on to a proposer and keeps the records that it was handed."""

    inner: Proposer
    watch: Watch

    @property
    def name(self) -> str:
        return self.inner.name

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        self.watch.look("reflective records", *(json.dumps(record.shown()) for record in records))
        self.watch.evidence(evidence_of(records))
        answer = await self.inner.propose(candidate, component, records, seed=seed)
        self.watch.look("proposals", answer[0].model_dump_json() if answer[0] else "")
        return answer


def parrot(prompt: str) -> str:
    """An answer in the form that is asked for, made of what was shown."""
    copied = re.sub(r"\[\[ ## .*? ## ]]", " ", prompt)[-1500:]
    if "[[ ## proposal ## ]]" in prompt:
        texts = {"hypothesis": copied, "proposal": f"Consider this: {copied}", "evidence": copied}
        return "\n\n".join(f"[[ ## {name} ## ]]\n{text}" for name, text in texts.items())
    if "[[ ## steer ## ]]" in prompt:
        return f"[[ ## steer ## ]]\n{copied}"
    legal = json.loads(re.findall(r"\[\[ ## legal ## ]]\n(\[.*?])\n", prompt)[-1])
    action = legal[int(digest_text(prompt), 16) % len(legal)]
    return f"[[ ## action ## ]]\n{'continue' if 'continue' in legal else action}\n\n[[ ## confidence ## ]]\n0.9"


@dataclass
class Watched:
    """One lab with a marked judge and a parrot for a model; every search is run twice, the second on its journal."""

    lab: Lab
    judge: Marked
    watch: Watch
    engine: ScriptedEngine
    setup: Setup
    replay: TreeReplay

    @classmethod
    async def on(cls, lab: Lab) -> Watched:
        judge = lab.judge = Marked()
        lab.grant = replace(lab.grant, steer_legal=(*STEERS, "text", "report"))
        lm, engine = scripted_lm(parrot)
        steers = steer_table(lab.benchmark.directives, lab.benchmark, lm)
        setup = replace(lab.setup(), lm=lm, steers=steers)
        evaluator = lab.evaluator(setup=setup, journal="trees.jsonl")
        replay = await lab.replay(lab.benchmark.tasks("search")[:6], judged_by=evaluator)
        return cls(lab, judge, Watch(judge), engine, setup, replay)

    def evaluator(self, journal: str) -> Evaluator:
        return self.lab.evaluator(setup=self.setup, replay=self.replay, journal=journal)

    async def search(self, seed: int, **more: Any) -> None:
        lm, space = self.setup.lm, self.lab.space(self.replay)
        assert lm is not None
        by_model = Candidate(components={name: lm_component(name, lm) for name in NAMES})
        plan = replace(small_plan(self.lab.benchmark.tasks("search"), seed=seed), **more)
        material, findings = await self.material(seed)
        ways: list[tuple[str, Proposer, SearchPlan]] = [
            ("lm", LMProposer(lm, space, material=material), replace(plan, start=by_model)),
            ("mined", RecurringProposer(space, findings.recurrent(least=1), MinedProposer(space)), plan),
        ]
        for name, proposer, asked in ways:
            journal = f"{name}-{seed}.jsonl"
            await self._searched(proposer, asked, journal)
            lines = (self.lab.folder / journal).read_bytes().splitlines(keepends=True)
            self.watch.look("journal", *(line.decode() for line in lines))
            (self.lab.folder / f"resumed-{journal}").write_bytes(b"".join(lines[: len(lines) // 2]))
            await self._searched(proposer, asked, f"resumed-{journal}")
        self.watch.look("prompts", *self.engine.prompts)
        self.engine.prompts.clear()

    async def material(self, seed: int) -> tuple[Material, Findings]:
        """What a model is shown beside the batch: pairs of all recorded tasks, findings; and findings over runs."""
        trees, lab = self.replay, self.lab
        tasks = {task.digest: task for task in lab.benchmark.tasks("search")[:6]}
        evaluator = lab.evaluator(setup=self.setup, journal=f"told-{seed}.jsonl")
        lamps = lamp_follower()
        scored = await evaluator.evaluate(Request(lamps, list(tasks.values()), seed=seed, keep_rollouts=True))
        told = await gather(lamps, scored, self.setup, tasks=tasks, trees=trees, seed=seed)
        self.watch.evidence(told)
        moves = [move for digest in trees.trees for move in trees.moves(digest)]
        histories = {digest: tree.history for digest, tree in trees.trees.items()}
        found = analyse(moves, benchmark="planted", actions=ACTIONS, histories=histories, episodes=told.episodes)
        kept = Findings(lab.folder / "findings-planted.jsonl")
        kept.add(f"run {seed}", found)
        self.watch.look("findings", *(one.model_dump_json() for one in found), *(one.line for one in found))
        self.watch.look("findings", kept.path.read_text(), *(one.evidence for one in kept.recurrent(least=1)))
        return Material(pairs=tree_pairs(trees, trees.trees), findings=found), kept

    async def _searched(self, proposer: Proposer, plan: SearchPlan, journal: str) -> None:
        listening = Listening()
        await GepaSearch().search(plan, self.evaluator(journal), Overheard(proposer, self.watch), listening)
        for found in listening.found_all:
            self.watch.look("components", *found.candidate.components.values())
            self.watch.look("evidence", found.evidence, found.hypothesis, found.proposer, found.name)
            saved = controller_of(found.candidate, self.setup.lm).dumps()
            again = loads(saved, self.setup.lm)
            self.watch.look("saved controllers", saved, *again.candidate.components.values())
        self.lab.close_journals()

    async def look_at_the_corpus(self) -> None:
        corpus = self.lab.corpus
        assert isinstance(corpus, MemoryCorpus)
        for kind in (Attempt, Decision, Episode):
            self.watch.look(f"{kind.__name__} records", *[r.model_dump_json() async for r in corpus.scan(kind)])
        self.watch.look("blobs", *[(await corpus.blob(d)).decode() async for d in corpus.blob_digests()])

    def verdicts_hold_it(self) -> int:
        """How many rows of the ledger hold the mark: the token was there to be found."""
        self.lab.ledger.close()
        return sum(path.read_bytes().count(self.judge.mark.encode()) for path in self.lab.folder.glob("verdicts.db*"))


async def watched(lab: Lab, seeds: int, **more: Any) -> Watch:
    on = await Watched.on(lab)
    for seed in range(seeds):
        await on.search(seed, **more)
    await on.look_at_the_corpus()
    assert on.judge.verdicts > 100
    assert on.verdicts_hold_it() > on.judge.verdicts
    return on.watch


PLACES = {
    "prompts",
    "reflective records",
    "whole episodes",
    "contrastive pairs",
    "findings",
    "proposals",
    "components",
    "saved controllers",
    "evidence",
    "journal",
    "blobs",
}


async def test_no_verdict_is_shown_proposed_kept_or_saved(lab: Lab) -> None:
    watch = await watched(lab, 2, generations=3)
    assert sum(watch.hits.values()) == 0, watch.hits
    assert watch.tries.keys() >= PLACES
    assert watch.tries["prompts"] > 400 and sum(watch.tries.values()) > 10_000, watch.tries


@pytest.mark.slow
async def test_ten_thousand_prompts(lab: Lab) -> None:
    watch = await watched(lab, 50, generations=4)
    assert sum(watch.hits.values()) == 0, watch.hits
    assert watch.tries["prompts"] >= 10_000, watch.tries


async def test_the_check_would_see_a_verdict_that_is_shown(lab: Lab) -> None:
    """Were an observation made of a verdict's words, they would be in prompts and in what is made of prompts."""
    on = await Watched.on(lab)
    leaky = replace(on.setup, observer=Leaky(lab, on.judge.mark))
    lm = on.setup.lm
    assert lm is not None
    candidate = Candidate(components={name: lm_component(name, lm) for name in NAMES})
    evaluator = lab.evaluator(setup=leaky)
    await evaluator.evaluate(Request(candidate, lab.benchmark.tasks("search")[:4], seed=1))
    on.watch.look("prompts", *on.engine.prompts)
    await on.look_at_the_corpus()
    assert on.watch.hits["prompts"] > 0 and on.watch.hits["Decision records"] > 0


@dataclass
class Leaky:
    """An observer that names a feature after what a judge said."""

    lab: Lab
    mark: str

    def features(self, history: Any) -> dict[str, float]:
        return {**self.lab.benchmark.features(history), f"judge.{self.mark}": 1.0}

    def untried(self, history: Any) -> dict[str, bool]:
        return dict(self.lab.benchmark.untried(history))

    def directive_text(self, action: str, history: Any) -> str:
        return self.lab.benchmark.directive_text(action, history)


def test_a_verdict_is_refused_where_prompts_are_made(tmp_path: Path) -> None:
    verdict = Verdict.model_validate(
        {
            "id": "v",
            "episode_id": "e",
            "attempt_id": "a",
            "task_digest": "t",
            "benchmark": "planted",
            "split": "search",
            "judge": "marked 1",
            "score": 1.0,
        }
    )
    for smuggled in (verdict, Judgement(score=1.0), verdict.model_dump_json()):
        with pytest.raises(FirewallBreach):
            render([smuggled])  # type: ignore[list-item]
