"""Lessons: one for each domain, and one for each from all others, which never sees a task of its own."""

from __future__ import annotations

from pathlib import Path

from experiments.transfer.domains import domains_of
from experiments.transfer.learning import teach
from experiments.transfer.pool import POOL
from tests.worlds.transferred import small_transfer


async def test_what_is_learned_for_a_domain_from_others_saw_none_of_its_tasks(tmp_path: Path) -> None:
    domains = [one.kept_in(tmp_path) for one in domains_of(small_transfer(tmp_path, generations=1, iterations=1))]
    lines: list[str] = []
    taught = await teach(domains, tmp_path, lambda line: lines.append(str(line)))
    for domain in domains:
        own = {task.digest for task in domain.train}
        assert set(taught.own[domain.name].tasks) == own
        others = {task.digest for one in domains if one is not domain for task in one.train}
        assert set(taught.pooled[domain.name].tasks) == others
        assert not own & others
        first, *_, last = taught.candidates_for(domain.name)
        assert (first, last) == (domain.name, POOL)
    assert all(taught.recorded.values())
    assert [line.split(":")[0] for line in lines[:2]] == ["quiet", "quiet"]
    assert "loud, renamed together, for quiet" in lines[-3]
