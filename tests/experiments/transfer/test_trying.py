"""Trying: equal controllers are played once, all under the same seeds at one grant."""

from __future__ import annotations

from pathlib import Path

from controllers.baselines import seed_candidate
from experiments.gate.learned.learning import Learned
from experiments.transfer.domains import domains_of
from experiments.transfer.learning import Taught
from experiments.transfer.trying import FROZEN, matrix_of, try_on
from tests.worlds.transferred import small_transfer


async def test_a_controller_that_is_the_frozen_one_is_played_once_and_held(tmp_path: Path) -> None:
    config = small_transfer(tmp_path, tasks=4)
    domains = [one.kept_in(tmp_path) for one in domains_of(config)]
    same = Learned(name="x", candidate=seed_candidate(), tasks=(), evaluations=0, live=0)
    taught = Taught({one.name: same for one in domains}, {}, {})
    lines: list[str] = []
    tried = await try_on(domains[0], taught, config, tmp_path, lambda line: lines.append(str(line)))
    assert lines == ["quiet: 1 different controllers tried on 4 dev tasks"]
    assert list(tried.measured) == [FROZEN, "quiet", "loud", "renamed"]
    assert {one.grant.attempts for one in tried.measured.values()} == {2}
    cells, further = matrix_of([tried], config)
    assert [cell.source for cell in cells] == ["quiet", "loud", "renamed"]
    assert [one.treatment for one in further] == ["loud -> quiet", "renamed -> quiet"]
    for cell in cells:
        assert cell.contrast.evidence.effect == 0
        assert cell.contrast.decided is not None
        assert cell.contrast.decided.decision == "hold"
