"""Promotion: from a controller, with or without a gate's certificate, to a release that production loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from controllers.baselines import seed_candidate
from controllers.fallback import may_fail
from controllers.release import Here, fingerprints_of, loaded, models_of, schemas_here
from controllers.release_files import MANIFEST, REPORT, STATE, Files, write_files
from optimizers.setup import Grant
from signatures.digest import digest_bytes
from signatures.errors import ReleaseRefused, StoreError, UsageError
from signatures.records import PolicyName, WorkerFingerprint
from signatures.release import Certificate, Lineage, Reference, Release

if TYPE_CHECKING:
    import dspy

    from controllers.program import Controller


@dataclass(frozen=True)
class Promotion:
    """All that a release is made of."""

    name: str
    "of the registered model"
    benchmark: str
    controller: Controller
    grant: Grant
    worker: WorkerFingerprint
    lineage: Lineage
    report: bytes
    "the gate's report.json as it is, or `ungated_report`"
    certificate: Certificate | None = None
    ungated: str = ""
    "why there is no certificate"
    exploration: float = 0.0
    fallback: Mapping[PolicyName, str] = field(default_factory=dict)
    "rule components for policies that ask a model or are a program's; those not given are the seed controller's"
    reference: Reference | None = None


def release_of(promotion: Promotion, *, at_s: float) -> Release:
    """The release, made at `at_s` seconds since 1970. Raises UsageError for one that production would refuse."""
    return _release(promotion, _state(promotion), at_s)


def files_of(promotion: Promotion, *, at_s: float) -> Files:
    """The three files of the release: what `write_release` writes. They were loaded once. Raises as above."""
    state = _state(promotion)
    release = _release(promotion, state, at_s)
    body = {**release.model_dump(mode="json"), "digest": release.digest}
    manifest = json.dumps(body, indent=1).encode() + b"\n"
    files = {MANIFEST: manifest, STATE: state, REPORT: promotion.report}
    here = Here(lm=_models(promotion.controller), worker=promotion.worker, digest=release.digest, name=promotion.name)
    loaded(files, here, where=f"release {promotion.name}")
    return files


def write_release(folder: Path, promotion: Promotion, *, at_s: float) -> Release:
    """Write the release into a new or empty folder, its manifest last, so that half of one never loads.

    Raises UsageError for a folder that holds something, or for what production would refuse; StoreError where it
    cannot be written, and then nothing of it is left.
    """
    files = files_of(promotion, at_s=at_s)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        holds = next((path.name for path in folder.iterdir()), None)
    except OSError as error:
        raise StoreError(f"{folder}: the release cannot be written: {error}") from error
    if holds is not None:
        raise UsageError(f"{folder}: holds {holds} already; a release gets a folder of its own")
    try:
        write_files(folder, files)
    except StoreError:
        if made and folder.is_dir():
            folder.rmdir()
        raise
    return _release(promotion, files[STATE], at_s)


def ungated_report(promoted: str, benchmark: str, why: str) -> bytes:
    """The report of a release without a gate: it says just that. `promoted`: the candidate's digest."""
    sentence = f"ungated: {promoted} on {benchmark}: {why}"
    body = {"kind": "ungated", "benchmark": benchmark, "candidate": promoted, "sentence": sentence, "contrasts": []}
    return json.dumps(body, indent=1).encode() + b"\n"


def fallback_of(controller: Controller, given: Mapping[PolicyName, str]) -> dict[PolicyName, str]:
    """The rule behind each policy that may fail: the one given, else that policy of the seed controller.

    Raises UsageError for one that is given for a policy that asks no model and is no program's.
    """
    seed = seed_candidate().components
    asking: list[PolicyName] = [name for name, policy in controller.policies.items() if may_fail(policy)]
    for name in given:
        if name not in asking:
            raise UsageError(f"fallback: {name} asks no model, so nothing stands in for it")
    return {name: given.get(name, seed[name]) for name in asking}


def _release(promotion: Promotion, state: bytes, at_s: float) -> Release:
    from pydantic import ValidationError

    controller, grant = promotion.controller, promotion.grant
    try:
        return Release(
            name=promotion.name,
            benchmark=promotion.benchmark,
            candidate=controller.digest,
            state=digest_bytes(state),
            report=digest_bytes(promotion.report),
            schemas=schemas_here(),
            fingerprints=fingerprints_of(models_of(controller), promotion.worker),
            granted=grant.amounts,
            turns_per_attempt=grant.turns_per_attempt,
            steer_legal=grant.steer_legal,
            exploration=promotion.exploration,
            fallback=fallback_of(controller, promotion.fallback),
            lineage=promotion.lineage,
            certificate=promotion.certificate,
            ungated=promotion.ungated,
            reference=promotion.reference,
            created_s=at_s,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in [".".join(map(str, first["loc"]))] if part)
        raise ReleaseRefused(
            f"release {promotion.name}: {place}{first['msg'].removeprefix('Value error, ')}"
        ) from error


def _state(promotion: Promotion) -> bytes:
    return promotion.controller.dumps().encode() + b"\n"


def _models(controller: Controller) -> dict[str, dspy.LM]:
    from controllers.policies.choice import ChoicePolicy
    from controllers.policies.lm import LMPolicy

    found = [policy.lm for policy in controller.policies.values() if isinstance(policy, LMPolicy | ChoicePolicy)]
    if controller.program is not None and controller.program.lm is not None:
        found.append(controller.program.lm)
    return {lm.model: lm for lm in found}
