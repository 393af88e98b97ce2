"""Adding to the certified store: a gate's certificate is verified from what the gate left, then its controller kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from experiments.catalogue import load_benchmark
from experiments.gate.report import GateReport
from experiments.promote.certifying import CANDIDATE, certificate_of
from experiments.wiring import model_of
from optimizers.store import CertifiedStore, Stored, effect_of, task_class
from signatures.errors import UsageError
from signatures.records import Candidate

FILE: Final = "store.db"


class Added(NamedTuple):
    """What `add` did."""

    stored: Stored
    new: bool
    "False: it was there already"


def store_path(root: str, store: str | None) -> Path:
    """The store that was named, else the one of the run root."""
    return Path(store) if store else Path(root) / FILE


def stored_of(gate: Path, *, at: datetime) -> Stored:
    """The strategy that the gate in a folder was about, certified. Raises UsageError, EvidenceError, StoreError.

    The certificate is made anew from the gate's numbers and the holdout ledger, as for a promotion.
    """
    certified = certificate_of(gate)
    config, grant = certified.config, certified.grant
    benchmark = load_benchmark(config.benchmark, config.options)
    lm = model_of(config.lm, config.api_base)
    worker_lm = model_of(config.worker_lm, config.api_base) or lm if config.worker == "chat" else None
    report = GateReport.model_validate_json(certified.report)
    return Stored(
        name=report.contrasts[0].treatment,
        candidate=_candidate(gate / CANDIDATE),
        task_class=task_class(benchmark.id, benchmark.tasks("search")),
        certificate=certified.certificate,
        worker=benchmark.worker(config.worker, worker_lm).fingerprint,
        attempts=grant.attempts,
        turns_per_attempt=grant.turns_per_attempt,
        steer_legal=grant.steer_legal,
        effect=effect_of(report.contrasts[0].evidence),
        added_at=at,
    )


def add(gate: Path, store: Path) -> Added:
    """Keep the strategy of a gate. Raises as `stored_of`, and nothing is kept then."""
    stored = stored_of(gate, at=datetime.now(UTC))
    with CertifiedStore(store) as opened:
        return Added(stored, opened.add(stored))


def listed(store: Path) -> tuple[Stored, ...]:
    """Everything in a store. Raises UsageError where there is no such file, StoreError where it was touched."""
    if not store.is_file():
        raise UsageError(f"{store}: there is no certified store; python -m experiments.store_run add --gate FOLDER")
    with CertifiedStore(store) as opened:
        return opened.all()


def _candidate(file: Path) -> Candidate:
    try:
        return Candidate.model_validate({"components": json.loads(file.read_text(encoding="utf-8"))["components"]})
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise UsageError(f"{file}: cannot be read as a saved controller") from error
