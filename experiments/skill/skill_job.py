"""A skill run from its config to its report and the candidate that asks as the best calibrated way does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers.baselines import seed_candidate
from controllers.policies.choice import ChoiceBody, ChoicePolicy
from controllers.program import controller_of
from experiments.gate.run_folder import claim_folder
from experiments.places import require_writable
from experiments.search.job import progress_bar
from experiments.search.search_job import console_of
from experiments.skill.config import SkillConfig
from experiments.skill.material import Material, material_of
from experiments.skill.measuring import Shipped, ask_all, score_all, shipped, wanted
from experiments.skill.report import PolicyReport, SkillReport, publish
from experiments.whole_file import write_whole
from experiments.wiring import model_of
from optimizers.skill.asking import Asker
from optimizers.skill.splitting import Split
from signatures.policies import signature_of
from signatures.records import Candidate, PolicyName

if TYPE_CHECKING:
    import dspy

ASKED: Final = "asked.jsonl"
CANDIDATE: Final = "candidate.json"


class Measured(NamedTuple):
    """A finished run."""

    report: SkillReport
    folder: Path
    tracked: str
    "one line on MLflow; empty without tracking"


def projection(config: SkillConfig, found: Material) -> str:
    """What a run asks at most, in one line."""
    told = []
    for policy, one in found.splits.items():
        told.append(f"{policy} {len(wanted(one))} ({len(one.test)} test, {len(one.calibration)} calibration)")
    calls = sum(len(wanted(one)) for one in found.splits.values())
    return f"at most {calls} questions to {config.lm.rpartition('/')[2]}: {', '.join(told)}"


async def run_skill(
    config: SkillConfig, *, folder: Path | None = None, lm: dspy.LM | None = None, quiet: bool = False
) -> Measured:
    """Ask, score, report. `folder` of a run that was killed goes on; `lm` is used instead of the named model.

    Raises UsageError, NoSupport, ProviderError, StoreError.
    """
    require_writable(Path(config.root))
    console = console_of(quiet=quiet)
    model = lm if lm is not None else model_of(config.lm, config.api_base)
    assert model is not None
    found = await material_of(config)
    console.print(projection(config, found), highlight=False)
    for policy, why in found.lacking.items():
        console.print(f"no questions of {policy}: {why}", highlight=False)
    place = folder or claim_folder(config, Path(config.root), f"{found.benchmark.id}-skill")
    console.print(f"run folder: {place}", highlight=False)
    reports: list[PolicyReport] = []
    takes: dict[PolicyName, Shipped] = {}
    with Asker(model, place / ASKED) as asker:
        for policy, one in found.splits.items():
            with progress_bar(console, f"{policy}: {len(wanted(one))} questions", len(wanted(one))) as step:
                replies = await ask_all(one, asker, step)
            takes[policy] = shipped(one, replies)
            about = {"policy": policy, "mined": found.mined[policy], "ways": score_all(one, replies)}
            reports.append(_report(one, takes[policy], about))
        asked = asker.calls + asker.recalled
    report = SkillReport(
        model=model.model,
        benchmark=found.benchmark.id,
        worker=found.worker,
        corpus=str(found.corpus),
        trees=found.trees,
        config=config.model_dump(mode="json"),
        policies=tuple(reports),
        lacking={str(policy): why for policy, why in found.lacking.items()},
        asked=asked,
    )
    candidate = candidate_of(config, found.splits, takes, model)
    write_whole(place / CANDIDATE, controller_of(candidate, model).dumps() + "\n")
    return Measured(report, place, publish(place, report, seed=config.seed, tracking=config.tracking))


def candidate_of(
    config: SkillConfig, splits: Mapping[PolicyName, Split], takes: Mapping[PolicyName, Shipped], lm: dspy.LM
) -> Candidate:
    """Where a search starts, but with the calibrated choice in each measured policy's place."""
    components = dict(seed_candidate().components)
    for policy, take in takes.items():
        body = ChoiceBody(
            tier=config.tier,
            model=lm.model,
            instructions=signature_of(policy).instructions,
            demos=tuple(one.demo() for one in splits[policy].demos) if take.demos else (),
            bias=take.calibration.bias,
            scale=take.calibration.scale,
            chars=config.chars,
        )
        components[policy] = ChoicePolicy(policy, lm, body).text
    return Candidate(components=components)


def _report(one: Split, take: Shipped, about: Mapping[str, object]) -> PolicyReport:
    return PolicyReport.model_validate(
        {
            **about,
            "n": len(one.test),
            "chance": one.chance,
            "answers": one.answers,
            "calibration": len(one.calibration),
            "demos": len(one.demos),
            "held_out": one.held_out,
            "shipped": take.way,
            "shipped_left_out": take.held_in,
        }
    )
