from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from experiments.serve.open_episodes import Begun, OpenEpisodes, Room
from signatures.errors import StoreError
from tests.controllers.parts import a_spec

MUCH = Room(0.0, 1000)


def begun(id: str, *, at: float = 10.0) -> Begun:
    return Begun(id, "release", a_spec(), at, None)


async def test_what_was_begun_is_there_after_the_file_was_closed(tmp_path: Path) -> None:
    async with OpenEpisodes(tmp_path / "s.db") as episodes:
        assert await episodes.begin(begun("a"), "key", MUCH) == begun("a")
        assert await episodes.begin(begun("b"), None, MUCH) == begun("b")
    async with OpenEpisodes(tmp_path / "s.db") as episodes:
        assert episodes.get("a") == episodes.of_key("key") == begun("a")
        assert (episodes.get("c"), episodes.of_key("other")) == (None, None)


async def test_of_two_that_begin_under_one_key_the_first_stands(tmp_path: Path) -> None:
    async with OpenEpisodes(tmp_path / "s.db") as episodes, OpenEpisodes(tmp_path / "s.db") as other_server:
        stands = await asyncio.gather(
            *(one.begin(begun(f"{n}"), "key", MUCH) for n, one in enumerate([episodes, other_server] * 5))
        )
        assert len({one.id for one in stands if one is not None}) == 1
        assert None not in stands


async def test_only_those_that_are_under_way_and_not_forgotten_are_counted(tmp_path: Path) -> None:
    async with OpenEpisodes(tmp_path / "s.db") as episodes:
        for id, at in (("old", 5.0), ("a", 10.0), ("b", 11.0)):
            await episodes.begin(begun(id, at=at), None, MUCH)
        assert (episodes.under_way(0.0), episodes.under_way(5.0)) == (3, 2)
        await episodes.end("a", 12.0)
        await episodes.end("a", 99.0)
        assert episodes.under_way(5.0) == 1
        assert episodes.get("a") == begun("a")._replace(ended_s=12.0)


async def test_however_many_begin_at_once_on_two_servers_no_more_stand_than_there_is_room_for(tmp_path: Path) -> None:
    async with OpenEpisodes(tmp_path / "s.db") as episodes, OpenEpisodes(tmp_path / "s.db") as other_server:
        servers, room = [episodes, other_server], Room(5.0, 3)
        await episodes.begin(begun("forgotten", at=5.0), None, room)
        stands = await asyncio.gather(*(servers[n % 2].begin(begun(f"{n}"), f"key {n}", room) for n in range(20)))
        began = [one for one in stands if one is not None]
        assert len(began) == episodes.under_way(5.0) == 3
        assert await episodes.begin(began[0], f"key {began[0].id}", room) == began[0]  # it is there already
        await episodes.end(began[0].id, 12.0)
        assert await episodes.begin(begun("next"), None, room) == begun("next")


async def test_what_a_model_wrote_is_kept_once(tmp_path: Path) -> None:
    async with OpenEpisodes(tmp_path / "s.db") as episodes:
        assert await episodes.recall("a", "0") is None
        await episodes.keep("a", "0", "first")
        await episodes.keep("a", "0", "second")
        assert await episodes.recall("a", "0") == "first"
        assert await episodes.recall("b", "0") is None


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "s.db")) as db:
        db.execute("CREATE TABLE other (x)")
    with pytest.raises(StoreError, match="another program's"):
        OpenEpisodes(tmp_path / "s.db")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StoreError, match="cannot open"):
        OpenEpisodes(tmp_path / "folder.db")
