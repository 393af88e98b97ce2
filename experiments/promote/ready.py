"""A promotion that can be made: candidate, certificate, benchmark and worker looked at, and nothing written yet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers import Worker
from controllers.corpus import SqliteCorpus
from controllers.fallback import may_fail
from experiments import Benchmark
from experiments.catalogue import load_benchmark
from experiments.gate.holdout.register import actions_of
from experiments.gate.holdout.run import CORPUS
from experiments.places import corpus_path, require_writable
from experiments.promote.certifying import Certified, certificate_of
from experiments.promote.config import PromoteConfig, as_gated
from experiments.promote.lineage import lineage_of
from experiments.wiring import model_of
from optimizers.setup import Grant
from signatures.digest import digest_of
from signatures.errors import EvidenceError, UsageError
from signatures.records import PolicyName
from signatures.release import Lineage, Reference

if TYPE_CHECKING:
    import dspy

    from controllers.program import Controller
    from optimizers.promotion import Promotion

REPORT: Final = "report.json"


class Nomination(NamedTuple):
    """What the command line adds to the config."""

    candidate: Path
    "file of a saved controller"
    gate: Path | None = None
    "folder of a gate's run; None: the newest below the root that is about this controller"
    allow_ungated: bool = False
    with_pyfunc: bool = False


@dataclass(frozen=True)
class Ready:
    """What a release will be made of, and what a canary will need."""

    asked: Nomination
    config: PromoteConfig
    name: str
    benchmark: Benchmark
    worker: Worker
    lm: dspy.LM | None
    text: str
    "of the candidate's file"
    controller: Controller
    lineage: Lineage
    certified: Certified | None
    ungated: str
    "why there is no certificate; empty where there is one"
    fallback: Mapping[PolicyName, str]
    reference: Reference | None

    @property
    def grant(self) -> Grant:
        """What an episode in production is granted: as the gate granted it."""
        if self.certified is not None:
            return self.certified.grant
        return Grant(self.config.attempts, self.config.turns, actions_of(self.benchmark))

    def promotion(self) -> Promotion:
        """All that the release is made of."""
        from optimizers.promotion import Promotion, ungated_report

        candidate = self.controller.digest
        certified = self.certified
        return Promotion(
            name=self.name,
            benchmark=self.benchmark.id,
            controller=self.controller,
            grant=self.grant,
            worker=self.worker.fingerprint,
            lineage=self.lineage,
            report=certified.report if certified else ungated_report(candidate, self.benchmark.id, self.ungated),
            certificate=certified.certificate if certified else None,
            ungated=self.ungated,
            exploration=self.config.exploration,
            fallback=self.fallback,
            reference=self.reference,
        )


def ready(config: PromoteConfig, asked: Nomination) -> Ready:
    """Look at everything a promotion needs. Raises UsageError, EvidenceError for a gate that does not say promote."""
    root = Path(config.root)
    require_writable(root)
    text, candidate = _text(asked.candidate)
    certified, ungated, gate = _certified(root, candidate, asked)
    if certified is not None:
        config = as_gated(config, certified.config.model_dump(), f"gate {certified.certificate.gate}")
        if certified.certificate.candidate != candidate:
            raise UsageError(f"{gate}: certificate.candidate: the gate was about another controller than {candidate}")
    benchmark = load_benchmark(config.benchmark, config.options)
    lm = model_of(config.lm, config.api_base)
    worker_lm = model_of(config.worker_lm, config.api_base) or lm if config.worker == "chat" else None
    worker = benchmark.worker(config.worker, worker_lm)
    controller = loaded_from(asked.candidate, text, lm)
    return Ready(
        asked=asked,
        config=config,
        name=config.name or benchmark.id,
        benchmark=benchmark,
        worker=worker,
        lm=lm,
        text=text,
        controller=controller,
        lineage=lineage_of(asked.candidate, controller.digest),
        certified=certified,
        ungated=ungated,
        fallback={} if config.fallback is None else _fallback(Path(config.fallback), controller),
        reference=asyncio.run(_reference(config, benchmark, worker, gate if certified else None, controller.digest)),
    )


def loaded_from(file: Path, text: str, lm: dspy.LM | None) -> Controller:
    """The controller in the text of a file. Raises UsageError."""
    from controllers.program import loads

    try:
        return loads(text, lm)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error


def newest_gate(root: Path, candidate: str) -> Path | None:
    """The folder below `root` of the gate about this controller that was reported last."""
    reports = [path for path in root.glob(f"*-gate-*/{REPORT}") if _is_about(path.parent, candidate)]
    newest = max(reports, key=lambda path: path.stat().st_mtime, default=None)
    return None if newest is None else newest.parent


def _certified(root: Path, candidate: str, asked: Nomination) -> tuple[Certified | None, str, Path | None]:
    """The certificate, or why there is none, and the gate's folder."""
    gate = asked.gate or newest_gate(root, candidate)
    if gate is None:
        why = f"no gate below {root} is about this controller"
        if not asked.allow_ungated:
            raise UsageError(
                f"{asked.candidate}: {why}; python -m experiments.gate_run register --candidate {asked.candidate}"
                " --baseline continue@3, then run it; --allow-ungated promotes without one, and says so for ever"
            )
        return None, why, None
    try:
        return certificate_of(gate), "", gate
    except (EvidenceError, UsageError) as error:
        if not asked.allow_ungated:
            raise
        return None, str(error), gate


def _text(file: Path) -> tuple[str, str]:
    """The text of a saved controller, and its candidate's digest, without a model. Raises UsageError."""
    try:
        text = file.read_text(encoding="utf-8")
        components = json.loads(text)["components"]
        return text, digest_of(components)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{file}: cannot be read as a saved controller") from error


def _is_about(folder: Path, candidate: str) -> bool:
    try:
        return _text(folder / "candidate.json")[1] == candidate
    except UsageError:
        return False


def _fallback(file: Path, controller: Controller) -> dict[PolicyName, str]:
    """The rules of a saved controller, for those policies that may fail. Raises UsageError."""
    rules = loaded_from(file, _text(file)[0], None)
    if rules.program is not None:
        raise UsageError(f"{file}: a fallback is made of rules; this is a strategy program, which may fail itself")
    return {name: rules.policies[name].text for name, policy in controller.policies.items() if may_fail(policy)}


async def _reference(
    config: PromoteConfig, benchmark: Benchmark, worker: Worker, gate: Path | None, candidate: str
) -> Reference | None:
    """What the controller was learned on; None where neither a corpus nor a gate's own is here."""
    from experiments.drift.reference import Like, reference_from

    places = [corpus_path(config, Path(config.root), benchmark.id), *([] if gate is None else [gate / CORPUS])]
    there = [path for path in places if _there(path)]
    if not there:
        return None
    with closing(SqliteCorpus.open_readonly(there[0])) as corpus:
        like = Like(worker.fingerprint, config.turns)
        return await reference_from(corpus, benchmark, gate, candidate, like=like)


def _there(file: Path) -> bool:
    return file.is_file()
