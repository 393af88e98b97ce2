from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controllers.baselines import seed_candidate
from controllers.program import lm_component, program_candidate, rule_component
from controllers.programs import builtin
from controllers.release import FILES, MANIFEST, FolderSource, Here, load_champion, loaded
from controllers.scripted_engine import scripted_lm
from optimizers.promotion import fallback_of, files_of, release_of, ungated_report, write_release
from signatures.digest import digest_bytes
from signatures.errors import ReleaseRefused, StoreError, UsageError
from signatures.records import Amounts, Candidate
from signatures.release import Lineage, Reference
from tests.worlds.signed import AT_S, a_promotion, asking, gated, telling

LM, _ = scripted_lm(lambda prompt: "")


def test_what_was_written_loads(tmp_path: Path) -> None:
    promotion = a_promotion(reference=Reference(features={}, success={}))
    release = write_release(tmp_path / "new" / "release", promotion, at_s=AT_S)
    champion = load_champion(FolderSource(tmp_path / "new" / "release"), Here(digest=release.digest, name="planted"))
    assert champion.release == release == release_of(promotion, at_s=AT_S)
    assert champion.controller.digest == promotion.controller.digest
    assert (release.granted, release.turns_per_attempt) == (Amounts(attempts=3, turns=9), 3)
    assert (release.lineage, release.created_s) == (Lineage(name="seed"), AT_S)
    assert sorted(path.name for path in (tmp_path / "new" / "release").iterdir()) == sorted(FILES)


def test_equal_promotions_are_equal_bytes() -> None:
    assert files_of(a_promotion(), at_s=AT_S) == files_of(a_promotion(), at_s=AT_S)
    assert release_of(a_promotion(), at_s=AT_S).digest != release_of(a_promotion(), at_s=AT_S + 1).digest


def test_a_gated_promotion_keeps_certificate_and_report(tmp_path: Path) -> None:
    promotion = gated(a_promotion())
    release = write_release(tmp_path, promotion, at_s=AT_S)
    assert release.certificate == promotion.certificate
    assert (tmp_path / "report.json").read_bytes() == promotion.report
    assert release.report == digest_bytes(promotion.report)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"ungated": ""}, "ungated"),
        ({"name": "../x"}, "name"),
        ({"exploration": 0.6}, "exploration"),
        ({"exploration": 0.25}, "exploration"),
        ({"report": b"not JSON"}, r"report\.json"),
    ],
)
def test_what_production_would_refuse_is_not_written(tmp_path: Path, changed: dict[str, Any], field: str) -> None:
    with pytest.raises(ReleaseRefused, match=field):
        write_release(tmp_path / "r", a_promotion(**changed), at_s=AT_S)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("field", ["candidate", "benchmark", "report", "sentence"])
def test_a_certificate_of_something_else_is_not_written(tmp_path: Path, field: str) -> None:
    with pytest.raises(ReleaseRefused, match=f"certificate.{field}"):
        write_release(tmp_path / "r", gated(a_promotion(), **{field: "other"}), at_s=AT_S)
    assert not (tmp_path / "r").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    first = write_release(tmp_path, a_promotion(), at_s=AT_S)
    with pytest.raises(UsageError, match=r"holds .* already"):
        write_release(tmp_path, a_promotion(telling("pump")), at_s=AT_S)
    assert load_champion(FolderSource(tmp_path)).release == first
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreError):
        write_release(file, a_promotion(), at_s=AT_S)


# The fallback of policies that ask a model.


def test_every_policy_that_asks_a_model_gets_a_fallback() -> None:
    everything = Candidate(components={name: lm_component(name, LM) for name in ("stop", "topology", "steer")})
    release = release_of(a_promotion(everything, LM), at_s=AT_S)
    assert release.fallback == dict(seed_candidate().components)
    assert release.fingerprints.models == ("scripted",)
    assert release_of(a_promotion(), at_s=AT_S).fallback == {}
    assert release_of(a_promotion(), at_s=AT_S).fingerprints.models == ()


def test_a_fallback_may_be_given() -> None:
    rule = rule_component([], {"pump": 1.0})
    files = files_of(a_promotion(asking(LM), LM, fallback={"steer": rule}), at_s=AT_S)
    assert loaded(files, Here(lm=LM)).release.fallback == {"steer": rule}


def test_a_fallback_of_a_rule_is_refused() -> None:
    controller = a_promotion().controller
    with pytest.raises(UsageError, match="fallback: stop asks no model"):
        fallback_of(controller, {"stop": rule_component([], {"done": 1.0})})


def test_a_fallback_that_asks_a_model_itself_is_refused() -> None:
    promotion = a_promotion(asking(LM), LM, fallback={"steer": lm_component("steer", LM)})
    with pytest.raises(ReleaseRefused, match=r"fallback\.steer: not a decision list"):
        files_of(promotion, at_s=AT_S)


def test_an_ungated_report_says_so() -> None:
    body = json.loads(ungated_report("c" * 24, "planted", "asked for with --allow-ungated"))
    assert body["sentence"] == f"ungated: {'c' * 24} on planted: asked for with --allow-ungated"
    assert (body["kind"], body["benchmark"], body["contrasts"]) == ("ungated", "planted", [])


FULL = """
import resource, signal, sys
from pathlib import Path
from optimizers.promotion import write_release
from signatures.errors import StoreError
from tests.worlds.signed import AT_S, a_promotion

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
promotion = a_promotion()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    write_release(Path(sys.argv[1]), promotion, at_s=AT_S)
except StoreError as error:
    print("cannot be written" in str(error))
"""


@pytest.mark.parametrize("room", [0, 200, 1200])
def test_a_full_disk_leaves_no_release(tmp_path: Path, room: int) -> None:
    """Of three files of some 2,200, 700 and 200 bytes."""
    command = [sys.executable, "-c", FULL, str(tmp_path / "r"), str(room)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "True\n")
    assert not (tmp_path / "r").exists()
    write_release(tmp_path / "r", a_promotion(), at_s=AT_S)


def test_half_a_release_never_loads(tmp_path: Path) -> None:
    write_release(tmp_path, a_promotion(), at_s=AT_S)
    (tmp_path / MANIFEST).unlink()
    with pytest.raises((ReleaseRefused, StoreError)):
        load_champion(FolderSource(tmp_path))


def test_a_promotion_can_be_changed() -> None:
    other = replace(a_promotion(), name="planted-b")
    assert release_of(other, at_s=AT_S).name == "planted-b"


def test_a_program_has_a_rule_behind_each_decision_and_loads(tmp_path: Path) -> None:
    promotion = a_promotion(builtin.refine("fan"))
    release = write_release(tmp_path / "r", promotion, at_s=AT_S)
    assert release.fallback == seed_candidate().components
    champion = load_champion(FolderSource(tmp_path / "r"))
    assert champion.controller.digest == promotion.controller.digest
    assert champion.deciding.begins_with_stop


def test_a_program_that_asks_a_model_names_it() -> None:
    candidate = program_candidate("async def strategy(ctx):\n    shot = await ctx.shot()\n", LM)
    promotion = a_promotion(candidate, LM)
    assert release_of(promotion, at_s=AT_S).fingerprints.models == (LM.model,)
    assert set(files_of(promotion, at_s=AT_S)) == set(FILES)
