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
COLORS: Final = MappingProxyType({"front": "#1b7f5c", "candidate": "#a8c4dd", "baseline": "#e08a3c"})
"""What charts paint a run with: the front green, candidates behind it pale blue, control arms orange."""

_COSTS: Final = ("cost/attempts", "cost/turns", "cost/usd")
_SPENT: Final = ("spent/attempts", "spent/compute", "spent/tokens", "spent/usd")


def experiment_tags(started: SearchStarted, time_ms: int) -> dict[str, str]:
    """The tags of an experiment whose newest search is `started`: both views."""
    shown = candidates_view(started.run_id, objectives=started.objectives, cost_metric=started.cost_metric)
    candidates = view_tag("candidates", shown, created_ms=time_ms)
    generations = view_tag("generations", generations_view(), created_ms=time_ms)
    return dict((candidates, generations))


def paint(role: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tag that colours a run in every chart: an arm, or a candidate by `tiller.front`. Searches keep their own."""
    front = role == "candidate" and tags.get("tiller.front") == "yes"
    color = COLORS.get("front" if front else role)
    return {} if color is None else {"mlflow.runColor": color}


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
    """Candidates and control arms of one search, the best on the dev split first, drawn against their cost.

    A report that measured nothing has no objective: its charts stay empty.
    """
    objectives = tuple(objectives) or ("correct",)
    first = objectives[0]
    dev = [f"dev/{name}" for name in objectives]
    columns = [
        *_tags("tiller.front", "tiller.engine", "tiller.generation", "tiller.decision", "tiller.lineage"),
        *_metrics(dev[0], f"{dev[0]}_lo", f"{dev[0]}_hi", cost_metric, *dev[1:], f"search/{first}"),
        *_metrics(*(name for name in _COSTS if name != cost_metric)),
        *_metrics(*_SPENT),
        *_tags("tiller.hypothesis", "tiller.proposer", "tiller.parents", "tiller.role"),
    ]
    charts = [
        _scatter("on-dev", cost_metric, dev[0]),
        _bar("on-dev", dev[0]),
        _bar("on-dev", cost_metric),
        _parallel("on-dev", [*dev, cost_metric]),
        _scatter("on-search", cost_metric, f"search/{first}"),
        _bar("on-search", f"search/{first}"),
        *(_scatter("confirmed", f"offline/{name}", f"live/{name}") for name in objectives[:2]),
    ]
    sections = [
        _section("on-dev", "Dev split: front green, control arms orange", columns=2),
        _section("on-search", "Search split: telemetry, not evidence", columns=2),
        _section("confirmed", "Confirmed: live with fresh seeds over the offline estimate", columns=2),
        *_folded("batch", "cost", "dev", "live", "offline", "search"),
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
    progress = ("search/hypervolume", "search/best_correct", "search/front_size")
    total = (*_SPENT, "spent/wall_s")
    spend = ("search/attempts", "search/evaluated_attempts", "search/cost_usd", "search/unsupported")
    charts = [*(_line("progress", name) for name in progress), *(_line("spend", name) for name in spend)]
    return _state(
        where="tags.`tiller.role` = 'search'",
        sort="metrics.`search/hypervolume`",
        columns=[
            *("params.`engine`", "params.`seed`"),
            *_tags("tiller.front"),
            *_metrics(*total, *progress, *spend),
            *_tags("tiller.run"),
        ],
        sections=[
            _section("progress", "Progress: telemetry, not evidence", columns=3),
            _section("spend", "Spent", columns=3),
            *_folded("search"),
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
        "columnOrder": columns,
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "compareRunSections": sections,
        "compareRunCharts": charts,
    }


def _folded(*prefixes: str) -> list[Json]:
    """The page draws a chart for each metric that has none yet, by prefix: keep those folded below ours."""
    return [_section(f"all-{prefix}", prefix, display=False) for prefix in prefixes]


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


def _card(kind: str, section: str, *metrics: str) -> Json:
    """What all charts have; the page itself composes their titles."""
    return {
        "uuid": "-".join((section, kind, *metrics)),
        "type": kind,
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
    }


def _bar(section: str, metric: str) -> Json:
    return {**_card("BAR", section, metric), "metricKey": metric}


def _scatter(section: str, x: str, y: str) -> Json:
    axes = {"xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
    return {**_card("SCATTER", section, x, y), **axes}


def _parallel(section: str, metrics: list[str]) -> Json:
    chosen = {"selectedParams": [], "selectedMetrics": metrics, "showAllRuns": False}
    return {**_card("PARALLEL", section), **chosen}


def _line(section: str, metric: str) -> Json:
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
    return {**_card("LINE", section, metric), **line}


def _metrics(*names: str) -> list[str]:
    return [f"metrics.`{name}`" for name in names]


def _tags(*names: str) -> list[str]:
    return [f"tags.`{name}`" for name in names]
