"""The picture of the scoreboard."""

from __future__ import annotations

from pathlib import Path

from experiments.tiers.figure import draw_tiers
from optimizers.tiers.scoreboard import TierCount, TierRow


def row(name: str, frontier: int, tokens: int | None) -> TierRow:
    model = TierCount(tier="frontier", decisions=frontier, tokens=tokens, usd=None, unmeasured=0, unpriced=frontier)
    others = [TierCount(tier=tier, decisions=5, tokens=0, usd=0.0) for tier in ("resident", "rule")]
    return TierRow(name=name, episodes=10, tiers=(model, *others))


def test_what_was_not_measured_does_not_stop_the_picture(tmp_path: Path) -> None:
    sizes = set()
    for number, rows in enumerate(([row("1-10", 4, None)], [row("1-10", 4, 100), row("11-20", 0, 50)])):
        path = tmp_path / f"{number}.png"
        draw_tiers(path, rows, title="tiers")
        assert path.read_bytes().startswith(b"\x89PNG")
        sizes.add(path.stat().st_size)
    assert len(sizes) == 2
