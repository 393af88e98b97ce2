"""Registering a gate: what will be compared, on which slice of the holdout and by which numbers, before it is run."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controllers import Worker
from experiments import Benchmark
from experiments.catalogue import load_benchmark
from experiments.config import dump
from experiments.gate.holdout.config import HoldoutConfig
from experiments.gate.holdout.contenders import contender_of, cut_of, searched_value, text_of
from experiments.gate.pairs.options import DEFAULT_MARGIN
from experiments.gate.workers import refuse_recording
from experiments.places import require_writable
from experiments.whole_file import write_whole
from experiments.wiring import model_of
from judges.manifest import Manifest, freeze, manifest_of
from optimizers.gate.holdout import HoldoutLedger, Slice, contents_of, require_disjoint, rotated, seal
from optimizers.gate.holdout_episodes import Contender
from optimizers.gate.holdout_ledger import Opened
from optimizers.gate.registration import Registration, register
from optimizers.gate.spend import require_equal_grants
from signatures.digest import canonical_json, seed_of
from signatures.errors import HoldoutSpent, UsageError
from signatures.records import Split, Task

if TYPE_CHECKING:
    import dspy

CONFIG: Final = "gate.toml"
REGISTRATION: Final = "registration.json"
MANIFEST: Final = "manifest.json"
SPLITS: Final[tuple[Split, ...]] = ("search", "dev", "holdout")


@dataclass(frozen=True)
class Survey:
    """A config that can be gated: whatever could be wrong with it was looked at, and nothing was written."""

    config: HoldoutConfig
    benchmark: Benchmark
    worker: Worker
    lm: dspy.LM | None
    baseline: Contender
    candidate: Contender
    known_by: str
    "what tells two tasks apart: `prompt` or `digest`"
    slices: tuple[Slice, ...]

    @property
    def actions(self) -> tuple[str, ...]:
        """What a steer policy may draw."""
        return actions_of(self.benchmark)

    @property
    def primary(self) -> str:
        """The objective that decides."""
        return self.config.primary or self.benchmark.objectives[0].name

    @property
    def contrast(self) -> str:
        """The comparison's name in its family."""
        return f"{self.candidate.name} - {self.baseline.name}"

    @property
    def seeds(self) -> tuple[int, ...]:
        """One a repeat, the same for both arms and every task."""
        return tuple(seed_of("holdout", self.config.seed, repeat) for repeat in range(self.config.repeats))


@dataclass(frozen=True)
class Gate:
    """A survey on one slice: what is registered, and what a run must find unchanged."""

    survey: Survey
    slice: Slice
    tasks: tuple[Task, ...]
    manifest: Manifest
    registration: Registration


def survey_of(config: HoldoutConfig, *, folder: Path | None = None) -> Survey:
    """Look at all that a gate needs. `folder`: where `register_gate` put copies of the two controllers.

    Raises UsageError for what cannot be gated, splits that overlap by content among it; UnequalCompute where the
    arms' grants differ.
    """
    benchmark = load_benchmark(config.benchmark, config.options)
    lm = model_of(config.lm, config.api_base)
    worker_lm = model_of(config.worker_lm, config.api_base) or lm if config.worker == "chat" else None
    worker = benchmark.worker(config.worker, worker_lm)
    refuse_recording(worker, benchmark.id)
    baseline, candidate = (
        contender_of(named, config, actions_of(benchmark), lm=lm, copy=_copy(folder, role))
        for role, named in (("baseline", config.baseline), ("candidate", config.candidate))
    )
    require_equal_grants({one.name: one.grant.amounts for one in (baseline, candidate)})
    known = [one.name for one in benchmark.objectives]
    if unknown := [n for n in (*config.margins, *filter(None, [config.primary])) if n not in known]:
        raise UsageError(f"{benchmark.id} has no objective {unknown[0]!r}; it has {', '.join(known)}")
    known_by, contents = contents_by_split(benchmark)
    require_disjoint(contents)
    judged = _manifest(benchmark, {"holdout": benchmark.tasks("holdout")})
    slices = tuple(
        seal(
            f"{benchmark.id} holdout {number} of {config.slices}",
            dealt,
            checkers=judged.checkers,
            judge=f"{judged.judge} {judged.judge_source}",
        )
        for number, dealt in enumerate(rotated(contents["holdout"], config.slices), 1)
    )
    return Survey(config, benchmark, worker, lm, baseline, candidate, known_by, slices)


def gate_of(survey: Survey, slice: Slice) -> Gate:
    """What would be registered of this survey on this slice, from code and settings as they are now."""
    tasks = tuple(task for task in survey.benchmark.tasks("holdout") if task.digest in slice.tasks)
    others = {split: survey.benchmark.tasks(split) for split in SPLITS[:-1]}
    manifest = _manifest(survey.benchmark, {**others, "holdout": tasks})
    config = survey.config
    registration = Registration(
        primary=survey.primary,
        margins={one.name: config.margins.get(one.name, DEFAULT_MARGIN) for one in survey.benchmark.objectives},
        family=(survey.contrast, *config.family),
        alpha=config.alpha,
        min_effect=config.min_effect,
        slice=slice.name,
        seal=slice.seal,
        granted=survey.candidate.grant.amounts,
        candidate=survey.candidate.candidate.digest,
        baseline=survey.baseline.candidate.digest,
        seeds=survey.seeds,
        manifest=manifest.digest,
        conditions=_conditions(survey),
    )
    return Gate(survey, slice, tasks, manifest, registration)


def register_gate(config: HoldoutConfig) -> tuple[Path, Gate]:
    """Choose the slice, write the registration in a folder named by its digest, and note it in the ledger.

    The same registration again is a no-op. Raises UsageError; HoldoutSpent where this controller was read before, and
    where no slice is left; StoreError.
    """
    root = Path(config.root)
    require_writable(root)
    survey = survey_of(config)
    survey = replace(survey, config=_with_searched(survey))
    with HoldoutLedger(ledger_path(root, survey.benchmark)) as ledger:
        require_never_read(ledger, survey)
        left = ledger.unspent(survey.slices)
        if not left:
            raise HoldoutSpent(
                f"no slice of {survey.benchmark.id}'s holdout is left: all {len(survey.slices)} have a task that was"
                f" read (see {ledger.path})"
            )
        gate = gate_of(survey, left[0])
        name = config.benchmark.replace(":", ".")
        folder = root / f"{name}-gate-{gate.registration.digest[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / CONFIG, dump(survey.config))
        for role, one in (("baseline", survey.baseline), ("candidate", survey.candidate)):
            write_whole(folder / f"{role}.json", text_of(one, survey.lm))
        freeze(folder / MANIFEST, gate.manifest)
        path = folder / REGISTRATION
        register(path, gate.registration, slice=gate.slice, ledger=ledger, at=datetime.now(UTC))
    return path, gate


def plan_lines(path: Path, gate: Gate) -> Iterator[str]:
    """What was registered and what it will take, for whoever registers."""
    registered, grant = gate.registration, gate.survey.candidate.grant
    episodes = 2 * len(gate.tasks) * len(registered.seeds)
    least = "none" if registered.min_effect is None else f"{registered.min_effect:g}"
    yield f"{gate.survey.contrast} on {gate.slice.name}: {len(gate.tasks)} tasks, repeats {len(registered.seeds)}"
    yield f"decided by {registered.primary}, alpha {registered.alpha:g} one-sided, smallest effect of interest {least}"
    yield f"each episode is granted {grant.attempts} attempts of {grant.turns_per_attempt} turns"
    yield f"at most {episodes * grant.attempts:,} attempts in {episodes:,} episodes; nothing of it was run yet"
    if gate.survey.candidate.same_as(gate.survey.baseline):
        yield "note: both sides are one program, so the decision can only be hold"
    yield f"registration: {path}"
    yield f"next: python -m experiments.gate_run run {shlex.quote(str(path))}"


def require_never_read(ledger: HoldoutLedger, survey: Survey, *, but: Slice | None = None) -> None:
    """Raises HoldoutSpent where the candidate was read on another slice: a controller is tried once, not until it
    passes."""
    digest = survey.candidate.candidate.digest
    for entry in ledger.entries():
        if isinstance(entry, Opened) and entry.candidate == digest and (but is None or entry.seal != but.seal):
            raise HoldoutSpent(f"{survey.candidate.name} was read on slice {entry.slice} at {entry.at:%Y-%m-%d %H:%M}")


def ledger_path(root: Path, benchmark: Benchmark) -> Path:
    """The one ledger of a benchmark's holdout below a run root."""
    return root / f"holdout-{benchmark.id}.db"


def actions_of(benchmark: Benchmark) -> tuple[str, ...]:
    """What a steer policy may draw: nothing, or a directive of the table."""
    return ("none", *(directive.action for directive in benchmark.directives))


def contents_by_split(benchmark: Benchmark) -> tuple[str, dict[str, Mapping[str, str]]]:
    """What tells tasks apart, and split -> task digest -> content digest.

    The prompt, so that a renamed task is found again; where several tasks share one, what differs is hidden in the
    benchmark, and its own digests, which are to be made of content, must do.
    """
    splits = {split: benchmark.tasks(split) for split in SPLITS}
    by_prompt: dict[str, Mapping[str, str]] = {split: contents_of(tasks) for split, tasks in splits.items()}
    within = (Counter(contents.values()) for contents in by_prompt.values())
    if all(most == 1 for counts in within for most in counts.values()):
        return "prompt", by_prompt
    return "digest", {split: {task.digest: task.digest for task in tasks} for split, tasks in splits.items()}


def _with_searched(survey: Survey) -> HoldoutConfig:
    """The config with the search's values of both sides, where it does not say them and the search's log does."""
    config, file = survey.config, Path(survey.config.candidate)
    sides = {"searched": survey.candidate, "searched_baseline": survey.baseline}
    known = {
        name: searched_value(file, one, survey.primary) for name, one in sides.items() if getattr(config, name) is None
    }
    return config.model_copy(update=known)


def _copy(folder: Path | None, role: str) -> Path | None:
    return None if folder is None else folder / f"{role}.json"


def _manifest(benchmark: Benchmark, splits: Mapping[Split, tuple[Task, ...]]) -> Manifest:
    return manifest_of(
        judge=benchmark.judge(),
        checkers=benchmark.checkers(),
        splits=splits,
        objectives=benchmark.objectives,
        directives=benchmark.directives,
    )


def _conditions(survey: Survey) -> dict[str, str]:
    """What else the result depends on: the config's fields, the worker as it is, both cuts of the budget."""
    return {
        **{f"config.{name}": canonical_json(value) for name, value in survey.config.identity.items()},
        "worker": survey.worker.fingerprint.model_dump_json(),
        "baseline.cut": cut_of(survey.baseline),
        "candidate.cut": cut_of(survey.candidate),
        "tasks known by": survey.known_by,
    }
