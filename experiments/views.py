"""MLflow's saved views: an undocumented format of its web page (3.17), kept in this one module.

A view is one experiment tag: columns, filter, sort and charts of the runs page, as JSON that the page itself
compresses. Source: `ExperimentPageUIState.tsx`, `runs-charts.types.ts` and `savedViewEnvelope.ts` of MLflow.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlencode

from experiments.events import SearchStarted

ViewKey = Literal["candidates", "generations"]
Json = dict[str, object]

TAG_PREFIX: Final = "mlflow.sharedViewState."
COLORS: Final = MappingProxyType(
    {"front": "#1b7f5c", "candidate": "#a8c4dd", "baseline": "#e08a3c", "search": "#3b6ea8"}
)
"""What charts paint a run with: the front green, candidates behind it pale blue, control arms orange."""

_SEARCH_METRICS: Final = (
    "search/hypervolume",
    "search/best_correct",
    "search/front_size",
    "search/attempts",
    "search/cost_usd",
    "search/unsupported",
)


def experiment_tags(started: SearchStarted, time_ms: int) -> dict[str, str]:
    """The tags of an experiment whose newest search is `started`: both views, and its kind.

    Without the kind the page guesses, and may open in its mode for traces, which shows no runs.
    """
    shown = candidates_view(started.run_id, objectives=started.objectives, cost_metric=started.cost_metric)
    candidates = view_tag("candidates", shown, created_ms=time_ms)
    generations = view_tag("generations", generations_view(), created_ms=time_ms)
    return {"mlflow.experimentKind": "custom_model_development", **dict((candidates, generations))}


def paint(role: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tag that colours a run in every chart: by its role, and a candidate by `tiller.front`."""
    front = role == "candidate" and tags.get("tiller.front") == "yes"
    return {"mlflow.runColor": COLORS["front" if front else role]}


def view_tag(name: ViewKey, state: Json, *, created_ms: int) -> tuple[str, str]:
    """The experiment tag (key, value) that holds a view."""
    packed = base64.b64encode(zlib.compress(json.dumps(state, sort_keys=True).encode(), 9)).decode()
    envelope = {"name": name, "createdAt": created_ms, "updatedAt": created_ms, "state": f"deflate;{packed}"}
    return TAG_PREFIX + name, json.dumps(envelope)


def deep_link(base: str, experiment_id: str, view: ViewKey) -> str:
    """The address of a view with its charts; `workflowType` keeps the page out of its mode without runs."""
    query = {"workflowType": "machine_learning", "viewStateShareKey": view, "compareRunsMode": "CHART"}
    return f"{base.rstrip('/')}/#/experiments/{experiment_id}/runs?{urlencode(query)}"


def candidates_view(run_id: str, *, objectives: Sequence[str], cost_metric: str) -> Json:
    """Candidates and control arms of one search, the best on the dev split first, drawn against their cost."""
    first = objectives[0]
    dev = [f"dev/{name}" for name in objectives]
    columns = [
        *_tags("tiller.role", "tiller.front", "tiller.generation"),
        *_metrics(f"dev/{first}", f"dev/{first}_lo", f"dev/{first}_hi", *dev[1:]),
        *_metrics(f"search/{first}", cost_metric, "cost/attempts", "cost/usd"),
        *_tags("tiller.parents", "tiller.decision", "tiller.proposer"),
    ]
    charts = [
        _scatter("dev", cost_metric, f"dev/{first}", f"dev/{first} against {cost_metric}: up and left is better"),
        _bar("dev", f"dev/{first}", f"dev/{first} by candidate"),
        _bar("dev", cost_metric, f"{cost_metric} by candidate"),
        _parallel("dev", [*dev, cost_metric], "All objectives on the dev split"),
        _scatter("search", cost_metric, f"search/{first}", f"search/{first} against {cost_metric}"),
        _bar("search", f"search/{first}", f"search/{first} by candidate"),
    ]
    sections = [
        _section("dev", "Result on the dev split (front green, others blue, control arms orange)", columns=2),
        _section("search", "What the search saw (telemetry, not evidence)", columns=2),
    ]
    return _state(
        where=f"tags.`tiller.run` = '{run_id}' AND tags.`tiller.role` != 'search'",
        sort=f"metrics.`dev/{first}`",
        columns=columns,
        sections=sections,
        charts=charts,
    )


def generations_view() -> Json:
    """All searches of the experiment side by side, their metrics by generation."""
    charts = [
        _line("progress", "search/hypervolume", "Hypervolume by generation"),
        _line("progress", "search/best_correct", "Best correct by generation"),
        _line("progress", "search/front_size", "Size of the front by generation"),
        _line("spend", "search/attempts", "Attempts spent by generation"),
        _line("spend", "search/cost_usd", "Money spent by generation (usd)"),
        _line("spend", "search/unsupported", "Share that replay could not support"),
    ]
    return _state(
        where="tags.`tiller.role` = 'search'",
        sort="metrics.`search/hypervolume`",
        columns=["params.`engine`", "params.`seed`", *_metrics(*_SEARCH_METRICS), *_tags("tiller.run")],
        sections=[
            _section("progress", "Progress by generation (telemetry, not evidence)", columns=3),
            _section("spend", "Spent by generation", columns=3),
        ],
        charts=charts,
    )


def _state(*, where: str, sort: str, columns: list[str], sections: list[Json], charts: list[Json]) -> Json:
    return {
        "searchFilter": where,
        # Sorted by time created, the page would fold children below their parent.
        "orderByKey": sort,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": columns,
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "compareRunSections": [*sections, *_leftovers()],
        "compareRunCharts": charts,
    }


def _leftovers() -> list[Json]:
    """The page draws a chart for each metric that has none yet, by prefix: keep those folded below ours."""
    return [_section(f"all-{name}", name, display=False) for name in ("cost", "dev", "search")]


def _section(uuid: str, name: str, *, columns: int = 3, display: bool = True) -> Json:
    return {
        "uuid": uuid,
        "name": name,
        "display": display,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": columns,
        "cardHeight": 360,
    }


def _card(kind: str, section: str, title: str) -> Json:
    return {
        "uuid": f"{section}-{kind}-{title}",
        "type": kind,
        "displayName": title,
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
    }


def _bar(section: str, metric: str, title: str) -> Json:
    return {**_card("BAR", section, title), "metricKey": metric}


def _scatter(section: str, x: str, y: str, title: str) -> Json:
    axes = {"xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
    return {**_card("SCATTER", section, title), **axes}


def _parallel(section: str, metrics: list[str], title: str) -> Json:
    chosen = {"selectedParams": [], "selectedMetrics": metrics, "showAllRuns": False}
    return {**_card("PARALLEL", section, title), **chosen}


def _line(section: str, metric: str, title: str) -> Json:
    line: Json = {
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "selectedXAxisMetricKey": "",
        "displayPoints": True,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
    }
    return {**_card("LINE", section, title), **line}


def _metrics(*names: str) -> list[str]:
    return [f"metrics.`{name}`" for name in names]


def _tags(*names: str) -> list[str]:
    return [f"tags.`{name}`" for name in names]
