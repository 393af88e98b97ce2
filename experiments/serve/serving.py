"""From a config to a service that runs: its stores opened, its release loaded, the alias followed; and closed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

from controllers.champion import ChampionWatch
from controllers.corpus import SqliteCorpus
from controllers.release import FolderSource, Here, ReleaseSource
from controllers.steers import steer_table
from experiments.catalogue import load_benchmark
from experiments.places import corpus_path, require_writable
from experiments.production.config import ProductionConfig, champion_cache
from experiments.production.parts import policy_models
from experiments.production.prompts import Prompts, prompts_path
from experiments.serve.config import ServeConfig
from experiments.serve.open_episodes import OpenEpisodes
from experiments.serve.service import Service, Stores, World
from experiments.serve.tasks import Tasks
from signatures.errors import InfraError, UsageError

Told = Callable[[str], None]


@asynccontextmanager
async def serving(config: ServeConfig, told: Told) -> AsyncIterator[Service]:
    """The service of a config, with a release loaded. Problems that come later are told.

    Raises UsageError and StoreError for what cannot be served, ReleaseRefused for what may not be.
    """
    root = Path(config.root)
    benchmark = load_benchmark(config.benchmark, config.options)
    lm = policy_models(ProductionConfig(lm=config.lm, api_base=config.api_base))
    one = None if isinstance(lm, Mapping) else lm
    name = config.name or benchmark.id
    world = World(
        benchmark=benchmark,
        tasks=Tasks(benchmark),
        checkers=benchmark.checkers() if config.checks == "server" else (),
        steers=steer_table(benchmark.directives, benchmark, one),
    )
    watch = ChampionWatch(
        _source(config, name, root),
        here=Here(lm=lm, name=config.name if config.release else name),
        cache=champion_cache(root, name),
        every_s=config.every_s,
        told=told,
    )
    require_writable(root)
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(watch.current)  # before anything is written: a release that is refused ends it here
        stores = Stores(
            corpus=stack.enter_context(closing(SqliteCorpus(corpus_path(config, root, benchmark.id)))),
            episodes=await stack.enter_async_context(OpenEpisodes(root / f"serving-{name}.db")),
            prompts=stack.enter_context(Prompts(prompts_path(root, benchmark.id))),
        )
        service = Service(world, stores, watch, config.limits)
        await service.follow()
        following = asyncio.create_task(_follow(service, config.every_s, told))
        try:
            yield service
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def _follow(service: Service, every_s: float, told: Told) -> None:
    """Look at the alias again and again. A release that does not fit here changes nothing, and is told once."""
    last = ""
    while True:
        await asyncio.sleep(every_s)
        try:
            await service.follow()
            last = ""
        except (InfraError, UsageError) as error:
            if str(error) != last:
                last = str(error)
                told(last)


def _source(config: ServeConfig, name: str, root: Path) -> ReleaseSource:
    if config.release is not None:
        return FolderSource(Path(config.release))
    from experiments.registry import RegistrySource
    from experiments.tracking import store_of

    return RegistrySource(name, config.alias, store_of(root))
