"""The newest search of a store: by the time it began, reports left out, older searches without the tag found."""

from __future__ import annotations

from pathlib import Path

from experiments.newest import newest_search
from experiments.tracking import connect, experiment_of, store_of


def test_the_latest_beginning_counts_and_reports_do_not(root: Path) -> None:
    store = store_of(root)
    client = connect(store)
    experiment = experiment_of(client, store, "tiller/planted")
    assert newest_search(client, []) is None
    assert newest_search(client, [experiment]) is None

    def begin(name: str, engine: str, time_ms: int, **tags: str) -> str:
        made = client.create_run(experiment, time_ms, {"tiller.role": "search", **tags}, name)
        client.log_param(made.info.run_id, "engine", engine)
        return str(made.info.run_id)

    def newest() -> str:
        found = newest_search(client, [experiment])
        assert found is not None
        return str(found.info.run_id)

    begin("an old report that was called a search", "gate", 9_000)
    older = begin("before there was a tag", "gepa", 1_000)
    assert newest() == older
    later = begin("optuna s0", "optuna", 2_000, **{"tiller.engine": "optuna"})
    assert newest() == later
    last = begin("gepa s1", "gepa", 3_000, **{"tiller.engine": "gepa"})
    assert newest() == last
