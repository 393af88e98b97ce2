"""The certificate of a gate, made from what the gate left behind and not from what its report says.

The registration must be in the holdout ledger, whose chain is walked; the read must be completed there; the numbers
must be those that completed it; and the report is computed again from them. A gate that does not say promote has no
certificate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from controllers.program import loads
from experiments.gate.holdout.config import HoldoutConfig
from experiments.gate.holdout.register import REGISTRATION, Gate, ledger_path
from experiments.gate.holdout.report import ledger_note, result_of
from experiments.gate.holdout.run import numbers_in, opened_gate
from experiments.gate.report import JSON_FILE, GateReport
from optimizers.gate.holdout_episodes import ARMS, Played
from optimizers.gate.holdout_ledger import Completed, Entry, EntryTable, Head, Opened, Registered
from optimizers.setup import Grant
from signatures.digest import digest_bytes, digest_of
from signatures.errors import EvidenceError, StoreError, UsageError
from signatures.release import Certificate

CANDIDATE: Final = "candidate.json"


class Certified(NamedTuple):
    """A gate that says promote."""

    certificate: Certificate
    report: bytes
    "report.json, which becomes a file of the release"
    config: HoldoutConfig
    "what was gated: benchmark, options, worker and models of the release"
    grant: Grant
    "what the candidate was granted; an arm such as `long@1` has a cut of the budget of its own"


class Read(NamedTuple):
    """What the holdout ledger knows of one registration's read."""

    verdicts: str
    "digest of the numbers that completed it"
    tries: int
    "how often it was opened"
    heads: tuple[Head, ...]
    "the ledger's end when it was completed, and after each row since"


def certificate_of(gate_folder: Path) -> Certified:
    """The certificate of the gate that was run in a folder.

    Raises UsageError naming what differs from what was registered or was never registered here; EvidenceError naming
    the file and field that do not follow from the numbers, and where the gate does not say promote; StoreError.
    """
    folder = gate_folder.absolute()
    gate = opened_gate(folder / REGISTRATION)
    registered = gate.registration
    _require_candidate(folder / CANDIDATE, gate)
    read = read_of(ledger_path(folder.parent, gate.survey.benchmark), gate)
    played = _numbers(folder, gate, read)
    data = _report_bytes(folder / JSON_FILE)
    report = _recomputed(folder / JSON_FILE, data, gate, played, read)
    decided = report.contrasts[0].decided
    decision = "nothing" if decided is None else decided.decision
    if decision != "promote":
        raise EvidenceError(f"{folder.name}: decision: the gate says {decision}, not promote: {report.sentence}")
    certificate = Certificate(
        gate=folder.name,
        sentence=report.sentence,
        candidate=registered.candidate,
        baseline=registered.baseline,
        benchmark=gate.survey.benchmark.id,
        registration=registered.digest,
        slice=registered.slice,
        seal=registered.seal,
        verdicts=read.verdicts,
        ledger_rows=read.heads[0].rows,
        ledger_chain=read.heads[0].chain,
        done=registered.manifest,
        report=digest_bytes(data),
    )
    return Certified(certificate, data, gate.survey.config, gate.survey.candidate.grant)


def read_of(path: Path, gate: Gate) -> Read:
    """The completed read of a registration in the holdout ledger at `path`, its whole chain verified.

    Raises UsageError where the ledger does not know the registration, EvidenceError where the read is not complete or
    was opened under another one, StoreError.
    """
    if not path.is_file():
        raise UsageError(
            f"{path}: ledger: is missing; without it nobody can tell what was registered before it was read"
        )
    table = EntryTable(path)
    try:
        entries, heads = table.read()
    finally:
        table.close()
    registered = gate.registration
    known = [(e.registration, e.candidate, e.seal) for e in entries if isinstance(e, Registered)]
    if (registered.digest, registered.candidate, registered.seal) not in known:
        raise UsageError(f"{path}: registration: {registered.digest} was never noted in this ledger")
    id = digest_of(registered.candidate, registered.seal)
    opened = [e for e in entries if isinstance(e, Opened) and e.read == id]
    if any(entry.registration != registered.digest for entry in opened):
        raise EvidenceError(f"{path}: registration: the slice was opened under {opened[0].registration}")
    ended = _completed(entries, id)
    if not opened or ended is None:
        raise EvidenceError(f"{path}: verdicts: the read of {registered.slice} by this candidate is not completed")
    row, completed = ended
    return Read(completed.verdicts, len(opened), tuple(heads[row:]))


def _completed(entries: list[Entry], id: str) -> tuple[int, Completed] | None:
    """The end of a read, and its place in the ledger, counted from 0."""
    found = ((row, e) for row, e in enumerate(entries) if isinstance(e, Completed) and e.read == id)
    return next(found, None)


def _require_candidate(path: Path, gate: Gate) -> None:
    try:
        digest = loads(path.read_text(encoding="utf-8"), gate.survey.lm).digest
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: candidate: cannot be read: {error}") from error
    except UsageError as error:
        raise UsageError(f"{path}: candidate: {error}") from error
    if digest != gate.registration.candidate:
        raise UsageError(f"{path}: candidate: is {digest}, and {gate.registration.candidate} was registered")


def _numbers(folder: Path, gate: Gate, read: Read) -> tuple[Played, ...]:
    """The numbers of the read, in which nothing is missing and nothing else stands."""
    try:
        played = numbers_in(folder, verdicts=read.verdicts)
    except StoreError as error:
        raise EvidenceError(str(error)) from error
    registered = gate.registration
    wanted = sorted((arm, task.digest, seed) for arm in ARMS for task in gate.tasks for seed in registered.seeds)
    # The ledger's digest is of values by task: what else stands in the file must be what a read leaves.
    if sorted((one.arm, one.task, one.seed) for one in played) != wanted or any(one.failure for one in played):
        raise EvidenceError(f"{folder}: numbers.json: played: is not every task and seed of the slice once, judged")
    return played


def _report_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: report: cannot be read; python -m experiments.gate_run run makes it: {error}"
        ) from error


def _recomputed(path: Path, data: bytes, gate: Gate, played: tuple[Played, ...], read: Read) -> GateReport:
    """The report as it follows from the numbers, which the file must say too, field by field. Raises EvidenceError."""
    try:
        said = GateReport.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise EvidenceError(f"{path}: {where}: cannot be read as a report: {first['msg']}") from error
    # A report is made after its read was completed, and others may have used the ledger in between.
    head = next((head for head in read.heads if said.notes[-1:] == (ledger_note(head),)), read.heads[0])
    made, refusal = result_of(gate, played, head, tries=read.tries)
    if refusal is not None:
        raise EvidenceError(f"{path}: decision: nothing may be concluded: {refusal}")
    for field in GateReport.model_fields:
        if getattr(said, field) != getattr(made, field):
            raise EvidenceError(
                f"{path}: {field}: the report was edited: it does not say what follows from the numbers"
                f" ({made.sentence})"
            )
    return made
