from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from experiments.serve.config import ServeConfig
from experiments.serve.listening import listen
from experiments.serve.tokens import VARIABLE
from signatures.errors import UsageError
from tests.worlds.harness import until
from tests.worlds.shipped import ship


async def test_an_address_that_is_taken_is_said(configured: Callable[..., ServeConfig], tmp_path: Path) -> None:
    ship(tmp_path / "release")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot be listened at"):
            await listen(configured(port=taken.getsockname()[1]), lambda line: None)


async def test_others_are_not_served_without_a_token(
    configured: Callable[..., ServeConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UsageError, match="give a token"):
        await listen(configured(host="0.0.0.0"), lambda line: None)


async def test_it_says_where_it_serves_and_with_which_token_and_ends_well(
    configured: Callable[..., ServeConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    release = ship(tmp_path / "release")
    told: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    serving = asyncio.create_task(listen(configured(port=0), told.append))
    await until(lambda: len(told) == 2 or serving.done())
    assert release.digest in told[0]
    url, token = told[0].rpartition(" ")[2], told[1].rpartition(" ")[2]
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/healthz")).json()["release"] == release.digest
        assert (await client.get("/metrics")).status_code == 401
        answer = await client.get("/metrics", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert "server" not in answer.headers
    assert gc.get_freeze_count() > 0
    os.kill(os.getpid(), signal.SIGTERM)
    await serving
    assert gc.get_freeze_count() == 0
    assert signal.getsignal(signal.SIGTERM) is before


async def test_a_signal_that_comes_as_it_says_that_it_serves_ends_it_as_well(
    configured: Callable[..., ServeConfig], tmp_path: Path
) -> None:
    ship(tmp_path / "release")
    told: list[str] = []

    def ending(line: str) -> None:
        told.append(line)
        os.kill(os.getpid(), signal.SIGTERM)

    await asyncio.wait_for(listen(configured(port=0), ending), 60)
    assert told
