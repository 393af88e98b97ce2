"""The saved views: what the page reads out of the tag, and that it asks for metrics that a search has."""

from __future__ import annotations

import base64
import json
import re
import zlib
from urllib.parse import parse_qs

import pytest

from experiments.events import CandidateScored, CandidateUpdated, GenerationDone, SearchStarted
from experiments.search.confirmed import Confirmed
from experiments.views import candidates_view, deep_link, experiment_tags, generations_view, paint, view_tag

STARTED = SearchStarted(run_id="gepa-7", benchmark="telecom", engine="gepa", seed=7, objectives=("correct", "fast"))


def unpacked(value: str) -> dict:
    """The state, as the page unpacks it."""
    envelope = json.loads(value)
    kind, _, packed = envelope["state"].partition(";")
    assert kind == "deflate"
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def charted(state: dict) -> set[str]:
    """Every metric that a chart of the view draws."""
    names: set[str] = set()
    for chart in state["compareRunCharts"]:
        names |= {chart["metricKey"]} if "metricKey" in chart else set()
        names |= {chart[axis]["key"] for axis in ("xaxis", "yaxis") if axis in chart}
        names |= set(chart.get("selectedMetrics", ()))
    return names


def test_both_views_are_tags_the_page_can_read() -> None:
    tags = experiment_tags(STARTED, 1700000000000)
    assert set(tags) == {"mlflow.sharedViewState.candidates", "mlflow.sharedViewState.generations"}
    for name, value in tags.items():
        assert len(value) < 5000, "MLflow's limit for an experiment's tag"
        envelope = json.loads(value)
        assert envelope["name"] == name.rpartition(".")[2]
        assert envelope["createdAt"] == envelope["updatedAt"] == 1700000000000
        state = unpacked(value)
        sections = {section["uuid"] for section in state["compareRunSections"]}
        assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= sections
        uuids = [chart["uuid"] for chart in state["compareRunCharts"]]
        assert len(set(uuids)) == len(uuids)
        assert state["orderByKey"].startswith("metrics."), "sorted by time, the page folds children"
        assert state["columnOrder"] == state["selectedColumns"]


def test_the_candidates_view_shows_one_search_best_first() -> None:
    state = candidates_view("gepa-7", objectives=("correct", "fast"), cost_metric="cost/usd")
    assert state["searchFilter"] == "tags.`tiller.run` = 'gepa-7' AND tags.`tiller.role` != 'search'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`dev/correct`", False)
    kinds = [chart["type"] for chart in state["compareRunCharts"]]
    assert {"SCATTER", "BAR", "PARALLEL"} <= set(kinds)
    scatter = state["compareRunCharts"][kinds.index("SCATTER")]
    assert (scatter["xaxis"]["key"], scatter["yaxis"]["key"]) == ("cost/usd", "dev/correct")
    columns = state["selectedColumns"]
    assert len(set(columns)) == len(columns)


def test_every_chart_draws_a_metric_that_the_story_has(tell, tmp_path) -> None:
    from experiments.events import FILE, read_events

    bodies = [event.body for event in read_events(tell(tmp_path / "gepa-7") / FILE)]
    (started,) = (body for body in bodies if isinstance(body, SearchStarted))
    of_children = {
        k for b in bodies if isinstance(b, CandidateScored | CandidateUpdated | Confirmed) for k in b.metrics
    }
    of_searches = {k for b in bodies if isinstance(b, GenerationDone) for k in b.metrics}
    view = candidates_view("gepa-7", objectives=started.objectives, cost_metric=started.cost_metric)
    assert charted(view) <= of_children
    assert charted(generations_view()) <= of_searches
    metric = re.compile(r"metrics\.`(.*)`")
    shown = {found[1] for column in view["selectedColumns"] if (found := metric.fullmatch(column))}
    assert shown <= of_children


def test_the_link_opens_the_view_with_its_charts() -> None:
    link = deep_link("http://127.0.0.1:5000/", "3", "candidates")
    path, _, query = link.partition("?")
    assert path == "http://127.0.0.1:5000/#/experiments/3/runs"
    assert parse_qs(query) == {
        "workflowType": ["machine_learning"],
        "viewStateShareKey": ["candidates"],
        "compareRunsMode": ["CHART"],
    }


@pytest.mark.parametrize(
    ("role", "front", "colored"), [("candidate", "yes", True), ("candidate", "no", True), ("search", "no", False)]
)
def test_the_front_is_painted_apart(role: str, front: str, colored: bool) -> None:
    assert bool(paint(role, {"tiller.front": front})) is colored
    assert paint("candidate", {"tiller.front": "yes"}) != paint("candidate", {})
    assert paint("baseline", {"tiller.front": "yes"}) == paint("baseline", {})


def test_any_state_survives_the_tag() -> None:
    state: dict[str, object] = {"searchFilter": "metrics.`a` > 0.5 AND tags.x = 'ü'", "compareRunCharts": []}
    assert unpacked(view_tag("candidates", state, created_ms=1)[1]) == state


def test_a_report_without_objectives_has_a_view() -> None:
    assert candidates_view("r", objectives=(), cost_metric="cost/turns")
