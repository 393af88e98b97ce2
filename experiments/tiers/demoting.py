"""From a saved controller to a proposal with its report, and the command by which a gate decides it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers.local.options import SAVED
from controllers.program import controller_of
from experiments.gate.report import Contrast, GateReport, publish
from experiments.gate.run_folder import claim_folder
from experiments.places import require_writable
from experiments.tiers.config import DemoteConfig
from experiments.tiers.material import ASKED, Material, gather_answers, material_of
from experiments.whole_file import write_whole
from optimizers.replay.asking import Asking
from optimizers.tiers.agreement import Agreement
from optimizers.tiers.asked import Answers
from optimizers.tiers.demotion import Demotion, Proposal, Registered, propose
from optimizers.tiers.fitting import Size
from optimizers.tiers.regret import Regret, Replayer

if TYPE_CHECKING:
    import dspy

DEMOTED: Final = "demoted.json"


class Ended(NamedTuple):
    """A demotion that was looked at."""

    proposal: Proposal
    report: GateReport
    folder: Path
    command: str | None
    "registers the gate that decides; None: nothing is proposed"
    tracked: str
    "one line on MLflow; empty without tracking"


async def run_demotion(config: DemoteConfig, lm: dspy.LM | None = None) -> Ended:
    """Fit, value, report. Raises UsageError, NoSupport, Outage, StoreError."""
    require_writable(Path(config.root))
    found = await material_of(config, lm)
    folder = claim_folder(config, Path(config.root), f"{found.benchmark.id}-demote")
    recorded = gather_answers(config, folder / ASKED)
    with Asking(folder / ASKED) as asking:
        answers = Answers(asking, most=config.most_asked if config.ask else 0)
        replayer = Replayer(found.trees, found.tasks, answers, walks=config.walks, seed=config.seed)
        size = Size(config.depth, config.rules, config.least)
        registered = Registered(config.agreement, config.regret, config.folds, size)
        proposal = await propose(found.controller, found.decided, replayer, registered)
        asked = f"{asking.calls} inputs were asked live, {recorded} answers were on record"
    command = None
    if proposal.candidate is not None:
        models = {one.lm.model: one.lm for one in found.controller.policies.values() if hasattr(one, "lm")}
        write_whole(folder / DEMOTED, controller_of(proposal.candidate, models).dumps() + "\n")
        command = gate_command(config, found, folder / DEMOTED)
    report = report_of(config, found, proposal, notes=(asked, *([f"decide it: {command}"] if command else [])))
    _, tracked = publish(folder, report, tracking=config.tracking)
    return Ended(proposal, report, folder, command, tracked)


def gate_command(config: DemoteConfig, found: Material, demoted: Path) -> str:
    """The command that registers the gate of the demoted controller against the one it came from."""
    fields: dict[str, object] = {
        "attempts": config.attempts,
        "turns": config.turns,
        "lm": config.lm or _asked_as(found.models[0]),
        "api_base": config.api_base,
        "worker": config.worker,
        "root": config.root,
        **{f"options.{name}": value for name, value in config.options.items()},
    }
    given = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in fields.items()
        if value is not None
    ]
    sides = ["--candidate", str(demoted), "--baseline", config.controller, "--benchmark", config.benchmark]
    return shlex.join(["python", "-m", "experiments.gate_run", "register", *sides, *given])


def _asked_as(model: str) -> str:
    """The model string to give: of a local model only the file's name was saved, not where it lies."""
    if not model.startswith(SAVED):
        return model
    return f"local:PATH/{model.removeprefix(SAVED).partition('@')[0]}.gguf"


def report_of(config: DemoteConfig, found: Material, proposal: Proposal, *, notes: tuple[str, ...]) -> GateReport:
    """The proposal as every gate's report looks; it decides nothing, so its contrasts have no decision."""
    worker = config.worker or "the recorded one"
    return GateReport(
        kind="demote",
        title=f"Demotion of {Path(config.controller).stem}",
        benchmark=found.benchmark.id,
        worker=worker,
        seed=config.seed,
        split="search",
        config=config.model_dump(mode="json"),
        sentence=sentence(proposal),
        contrasts=tuple(_contrasts(proposal)),
        numbers=dict(_numbers(proposal)),
        notes=(*_notes(proposal), *notes, *_limits(found)),
        data={"proposal": proposal.model_dump(mode="json")},
    )


def sentence(proposal: Proposal) -> str:
    """What is proposed, or that nothing is."""
    names = [one.policy for one in proposal.demotions if one.proposed]
    if not names:
        why = "; ".join(f"{one.policy}: {one.reasons[0]}" for one in proposal.demotions)
        return f"nothing is proposed: {why}"
    return f"proposed, for a gate to decide: {' and '.join(names)} by rules instead of a model"


def _contrasts(proposal: Proposal) -> Iterator[Contrast]:
    rows: list[tuple[str, tuple[Regret, ...]]] = [(one.policy, one.regrets) for one in proposal.demotions]
    if sum(one.proposed for one in proposal.demotions) > 1:
        rows.append(("together", proposal.together))
    for name, regrets in rows:
        for one in regrets:
            yield Contrast(
                name=f"{name}: rule - model",
                family="replayed on recorded trees, what they hold of each task",
                treatment="rule",
                control="model",
                evidence=one.evidence,
            )


def _numbers(proposal: Proposal) -> Iterator[tuple[str, float]]:
    for one in proposal.demotions:
        if one.agreement is not None and one.agreement.share.mean is not None:
            yield f"{one.policy}/agreement", one.agreement.share.mean
            yield f"{one.policy}/agreement_constant", one.agreement.constant or 0.0
        yield f"{one.policy}/decisions", float(one.asked)
        for regret in one.regrets:
            yield f"{one.policy}/{regret.objective}/regret_hi", regret.hi
            yield f"{one.policy}/{regret.objective}/unsupported", regret.unsupported
    for regret in proposal.together:
        yield f"together/{regret.objective}/regret_hi", regret.hi
    yield "unsupported", proposal.unsupported


def _notes(proposal: Proposal) -> Iterator[str]:
    for one in proposal.demotions:
        yield f"{one.policy}, a {one.tier} model's: {agreed(one)}; {'; '.join(one.reasons)}"
        yield from (f"{one.policy}: {line}" for line in one.rules)
    yield from proposal.reasons


def agreed(one: Demotion) -> str:
    """The agreement in words, and what the decisions cost."""
    if one.agreement is None:
        return f"{one.asked} recorded decisions"
    share = one.agreement.share
    interval = "" if share.lo is None or share.hi is None else f" [{share.lo:.3f}, {share.hi:.3f}]"
    tokens = [amount for amount in (one.cost.tokens_in, one.cost.tokens_out) if amount is not None]
    cost = f", {sum(tokens) / one.asked:,.0f} tokens each" if tokens and one.asked else ""
    undecided = f", {one.agreement.undecided} without a clear answer left out" if one.agreement.undecided else ""
    usual = _usual(one.agreement)
    return (
        f"agreement {share.mean or 0:.3f}{interval} on {share.n} tasks, {one.asked} decisions{cost}{undecided}{usual}"
    )


def _usual(found: Agreement) -> str:
    """What the agreement is worth: beside always saying the same, and where that is wrong."""
    if found.constant is None:
        return ""
    always = f"; always the most frequent answer: {found.constant:.3f}"
    if found.elsewhere is None:
        return f"{always}, the model never said anything else"
    return (
        f"{always}, and where that is wrong, in {found.elsewhere_n} decisions, the rule agrees in {found.elsewhere:.3f}"
    )


def _limits(found: Material) -> Iterator[str]:
    yield "a rule is fitted without the task that it is tried on; the rule that is proposed is fitted to all of them"
    if len(found.models) > 1:
        yield f"the controller asks {', '.join(found.models)}, and a gate takes one model: its command names one"
