"""Releases for tests: of the planted world's controllers, signed again after a change, and a source that moves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dspy

from controllers.baselines import controller_components
from controllers.program import Controller, controller_of, lm_component
from controllers.release import MANIFEST, REPORT, STATE, Files
from optimizers.promotion import Promotion, files_of, ungated_report
from optimizers.setup import Grant
from signatures.digest import digest_bytes, digest_of
from signatures.errors import StoreError
from signatures.records import Candidate
from signatures.release import Certificate, Lineage
from tests.worlds.planted import DIRECTIVES, PlantedBenchmark

AT_S = 1_700_000_000.0
STEERS = ("none", *(one.action for one in DIRECTIVES))


def telling(steer: str) -> Candidate:
    """A controller that goes on from the last attempt and always says `steer`."""
    return Candidate(components=controller_components(refine=True, steer={steer: 1.0}))


def asking(lm: dspy.LM) -> Candidate:
    """A controller whose steer policy asks a model; the rest are rules."""
    return Candidate(components={**telling("none").components, "steer": lm_component("steer", lm)})


def a_promotion(candidate: Candidate | None = None, lm: dspy.LM | None = None, **changed: Any) -> Promotion:
    """The promotion of a controller of the planted world, ungated unless `changed` says otherwise."""
    controller: Controller = controller_of(candidate or telling("fan"), lm)
    made = Promotion(
        name="planted",
        benchmark="planted",
        controller=controller,
        grant=Grant(attempts=3, turns_per_attempt=3, steer_legal=STEERS),
        worker=PlantedBenchmark().worker(None, None).fingerprint,
        lineage=Lineage(name="seed"),
        report=ungated_report(controller.digest, "planted", "a test"),
        ungated="a test",
        exploration=0.05,
    )
    return replace(made, **changed)


def gated(promotion: Promotion, **changed: object) -> Promotion:
    """The same with a certificate that fits, and a report that says so; `changed` are fields of the certificate."""
    sentence = "promote: better than continue@3"
    decided = {"decision": "promote", "reasons": ["better"]}
    body = {
        "kind": "gate",
        "benchmark": promotion.benchmark,
        "sentence": sentence,
        "contrasts": [{"name": "candidate - baseline", "decided": decided}],
    }
    report = json.dumps(body).encode()
    given: dict[str, object] = {
        "gate": "planted-gate-0123456789ab",
        "sentence": sentence,
        "candidate": promotion.controller.digest,
        "baseline": "b" * 24,
        "benchmark": promotion.benchmark,
        "registration": "r" * 24,
        "slice": "slice-0",
        "seal": "s" * 24,
        "verdicts": "v" * 24,
        "ledger_rows": 2,
        "ledger_chain": "c" * 24,
        "done": "d" * 24,
        "report": digest_bytes(report),
    }
    certificate = Certificate.model_validate({**given, **changed})
    return replace(promotion, certificate=certificate, ungated="", report=report)


def resigned(files: Files, change: Callable[[dict[str, Any]], object], file: str = MANIFEST) -> dict[str, bytes]:
    """The files after `change` of one of them, with every digest above it made to fit: what a forger can do."""
    body = json.loads(files[file])
    del body["digest"]
    change(body)
    signed = json.dumps({**body, "digest": digest_of(body)}).encode()
    return {**files, MANIFEST: signed} if file == MANIFEST else sealed({**files, file: signed})


def sealed(files: Files) -> dict[str, bytes]:
    """The files with a manifest that fits the bytes of the other two."""
    bytes_of = {"state": digest_bytes(files[STATE]), "report": digest_bytes(files[REPORT])}
    return resigned(files, lambda body: body.update(bytes_of))


def put(folder: Path, files: Files) -> None:
    """Write the files into a folder, over what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


@dataclass
class MovingSource:
    """A source in this process: what it holds may be changed, damaged or taken away between two questions."""

    held: Files
    down: str | None = None
    asked: list[str] = field(default_factory=list)
    shown: str = "models:/planted@champion"

    def current(self) -> str:
        """The digest of the manifest."""
        self.asked.append("current")
        self._up()
        return digest_bytes(self.held[MANIFEST])

    def files(self, token: str) -> Files:
        """What is held."""
        self.asked.append("files")
        self._up()
        return self.held

    def _up(self) -> None:
        if self.down is not None:
            raise StoreError(f"{self.shown}: {self.down}")


def files(candidate: Candidate | None = None, lm: dspy.LM | None = None, **changed: Any) -> Files:
    """The three files of a release."""
    return files_of(a_promotion(candidate, lm, **changed), at_s=AT_S)
