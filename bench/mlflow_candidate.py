"""Milliseconds to log one candidate on SQLite: the mirror's way beside MLflow's fluent way.

    python bench/mlflow_candidate.py [N]

logs N candidates (50) each way, in turns, with 30 metrics, 6 params, 8 tags and 3 text artifacts, into one store
in a temporary folder. Prints a table and, as its last line, the same as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.events import CandidateScored, SearchStarted
from experiments.tracking import SearchRuns, connect, store_of

ARTIFACTS = {"controller.json": '{"rules": []}' * 40, "diff.txt": "- a\n+ b\n" * 30, "evidence.json": "{}" * 200}
METRICS = {f"{split}/m{n}": 0.123456 * n for split in ("dev", "search") for n in range(15)}
PARAMS = {f"param{n}": "refine" for n in range(6)}
TAGS = {f"tiller.tag{n}": "value" for n in range(8)}


def scored(name: str, *, artifacts: bool) -> CandidateScored:
    """A candidate of the usual size."""
    return CandidateScored(
        name=name, params=PARAMS, metrics=METRICS, tags=TAGS, artifacts=ARTIFACTS if artifacts else {}
    )


def fluent(parent_id: str, body: CandidateScored) -> None:
    """The same through `with mlflow.start_run()`."""
    import mlflow

    with mlflow.start_run(run_id=parent_id), mlflow.start_run(run_name=body.name, nested=True):
        mlflow.set_tags(dict(body.tags))
        mlflow.log_params(dict(body.params))
        for name, value in body.metrics.items():
            mlflow.log_metric(name, value)
        for file, text in body.artifacts.items():
            mlflow.log_text(text, file)


def measure(folder: Path, count: int) -> dict[str, list[float]]:
    """Milliseconds per way; the ways take turns, and the first turn, which fills caches, is left out."""
    store = store_of(folder)
    started = SearchStarted(run_id="bench", benchmark="bench", engine="bench", seed=0)
    search = SearchRuns(connect(store), store, started)
    search.open(started, 1)
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    mlflow.set_experiment(experiment_id=search.experiment_id)

    def log(way: str, body: CandidateScored) -> None:
        if way == "mirror":
            search.candidate(body, 1)
        else:
            fluent(search.parent.id, body)

    times: dict[str, list[float]] = {}
    for number in range(count + 1):
        for artifacts in (False, True):
            for way in ("mirror", "fluent"):
                label = f"{way}, 3 artifacts" if artifacts else way
                body = scored(f"{label} {number}", artifacts=artifacts)
                start = time.perf_counter()
                log(way, body)
                times.setdefault(label, []).append((time.perf_counter() - start) * 1000)
    return {label: spent[1:] for label, spent in times.items()}


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as folder:
        times = measure(Path(folder), count)
    result = {
        label: {"median_ms": round(median(ms), 1), "p95_ms": round(quantiles(ms, n=20)[-1], 1)}
        for label, ms in times.items()
    }
    print(f"{'one candidate on SQLite':<24}{'median ms':>10}{'p95 ms':>10}")
    for label, row in result.items():
        print(f"{label:<24}{row['median_ms']:>10}{row['p95_ms']:>10}")
    print(json.dumps({"bench": "mlflow_candidate", "n": count, **result}))


if __name__ == "__main__":
    main()
