"""Engines by name: the folder is the catalogue, and one's own may stand elsewhere."""

from __future__ import annotations

import pytest

from optimizers.engines import ENGINES, engine_ids, engine_of
from optimizers.search import Engine, Kit
from optimizers.search.null_search import NullSearch
from optimizers.testing_world import SPACE
from signatures.errors import UsageError

KIT = Kit(space=SPACE)


def my_engine(kit: Kit) -> Engine:
    return NullSearch()


def no_engine(kit: Kit) -> object:
    return "nothing"


def test_the_folder_is_the_catalogue() -> None:
    assert engine_ids() == ENGINES == tuple(sorted(ENGINES))
    assert {"best_of_n", "gepa_search", "null_search", "random_search"} <= set(ENGINES)


@pytest.mark.parametrize("id", ["best_of_n", "gepa_search", "null_search", "random_search"])
def test_each_is_made_of_a_kit(id: str) -> None:
    assert callable(engine_of(id, KIT).search)


def test_ones_own(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.syspath_prepend(str(request.path.parent))
    assert isinstance(engine_of("test_engines:my_engine", KIT), NullSearch)
    with pytest.raises(UsageError, match="has no `search`"):
        engine_of("test_engines:no_engine", KIT)
    with pytest.raises(UsageError, match="not a function"):
        engine_of("test_engines:KIT", KIT)
    with pytest.raises(UsageError, match="cannot import"):
        engine_of("nowhere_at_all:engine", KIT)


def test_an_unknown_id_lists_the_ids() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'random_search'\? there are .*best_of_n.*null_search"):
        engine_of("random_serch", KIT)


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match=r"best_of_n has no option m; it has n"):
        engine_of("best_of_n", Kit(space=SPACE, options={"m": 3}))
    with pytest.raises(UsageError, match=r"best_of_n: option n: .*greater than or equal to 1"):
        engine_of("best_of_n", Kit(space=SPACE, options={"n": 0}))
    with pytest.raises(UsageError, match=r"null_search has no option n; it has no options"):
        engine_of("null_search", Kit(space=SPACE, options={"n": 1}))
