"""The scoreboard of a corpus: what it counts, what it leaves behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from experiments.events import FILE, GenerationDone, SearchFinished, read_events
from experiments.tiers.config import TiersConfig
from experiments.tiers.scoring import PICTURE, SCORES, Scoreboard, run_tiers
from experiments.tracking import store_of
from signatures.errors import NoSupport
from tests.experiments.tiers.conftest import TASKS, Recorded
from tests.worlds.tiered import BENCHMARK


def config(root: Path, **changed: object) -> TiersConfig:
    given = {"benchmark": BENCHMARK, "root": str(root), "periods": 4, "tracking": False}
    return TiersConfig.model_validate({**given, **changed})


def test_runs_and_periods_say_who_decided(recorded: Recorded) -> None:
    scored = asyncio.run(run_tiers(config(recorded.root)))
    board = scored.board
    assert Scoreboard.model_validate_json((scored.folder / SCORES).read_text()) == board
    assert [row.name.split(" ")[1] for row in board.runs] == ["collect", "played"]
    assert [row.episodes for row in board.periods] == [TASKS // 2] * 4
    assert 0 < (board.total.share("frontier") or 0) < (board.total.share("rule") or 0)
    assert board.total.metrics()["tier/frontier/tokens"] > 0
    assert (scored.folder / PICTURE).read_bytes().startswith(b"\x89PNG")
    assert scored.tracked == ""


def test_a_step_per_period_is_told(recorded: Recorded) -> None:
    scored = asyncio.run(run_tiers(config(recorded.root)))
    bodies = [event.body for event in read_events(scored.folder / FILE)]
    steps = [body for body in bodies if isinstance(body, GenerationDone)]
    assert [body.generation for body in steps] == [0, 1, 2, 3]
    assert "tier/rule/share" in steps[-1].metrics and "tier/rule/share" not in steps[0].metrics
    (last,) = [body for body in bodies if isinstance(body, SearchFinished)]
    assert last.metrics["all/tier/rule/share"] == scored.board.total.share("rule")


def test_a_split_without_decisions_is_said(recorded: Recorded) -> None:
    with pytest.raises(NoSupport, match="holds no decision of planted on production"):
        asyncio.run(run_tiers(config(recorded.root, split="production")))


@pytest.mark.slow
def test_the_tracker_gets_one_run_with_the_series(recorded: Recorded, tmp_path: Path) -> None:
    from experiments.tracking import connect

    given = config(tmp_path, corpus=str(recorded.root / "corpus-planted.db"), tracking=True)
    scored = asyncio.run(run_tiers(given))
    client = connect(store_of(tmp_path))
    (experiment,) = [one for one in client.search_experiments() if one.name != "Default"]
    (run,) = client.search_runs([experiment.experiment_id])
    series = client.get_metric_history(run.info.run_id, "tier/frontier/share")
    assert [point.step for point in series] == [2, 3]
    assert run.data.metrics["all/tier/rule/share"] == pytest.approx(scored.board.total.share("rule"), abs=1e-3)
    assert "tier/frontier/usd" not in run.data.metrics, "nobody measured it"
