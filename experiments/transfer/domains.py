"""The domains of a transfer: each a benchmark that is ready, the search tasks it teaches and the dev tasks it tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.gate.workers import CHAT, require_live, said_of
from experiments.search_config import SearchConfig
from experiments.transfer.carrying import RULE
from experiments.transfer.config import TransferConfig
from experiments.wiring import Ready, Splits, Wired, definition_of_done, ready, wired
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Task

LEAST = 2
"""Tasks that are needed of a split."""


@dataclass(frozen=True)
class Domain:
    """One benchmark of a transfer."""

    name: str
    ready: Ready

    @property
    def id(self) -> str:
        """The benchmark's: features of its own have it for a prefix."""
        return self.ready.benchmark.id

    @property
    def who(self) -> str:
        """Whose work it is, in words."""
        return said_of(self.ready.worker.fingerprint, self.id)

    @property
    def legal(self) -> tuple[str, ...]:
        """What a steer policy may draw here: the table, and `rule`, which stands for actions of other tables."""
        actions = self.ready.actions
        return (*actions, RULE) if len(actions) > 1 else actions

    @property
    def train(self) -> tuple[Task, ...]:
        """Search tasks with a tree."""
        return self.ready.splits.train

    @property
    def dev(self) -> tuple[Task, ...]:
        """Tasks that controllers are tried on."""
        return self.ready.splits.dev

    @property
    def identity(self) -> str:
        """Digest of what decides an attempt and a verdict here."""
        return digest_of(self.name, self.ready.manifest, self.ready.worker.fingerprint)

    def kept_in(self, folder: Path) -> Domain:
        """The same with its corpus in the run folder, so that its trees hold nothing that another run recorded."""
        corpus = str(folder / f"{self.name}.db")
        return replace(self, ready=replace(self.ready, config=self.ready.config.model_copy(update={"corpus": corpus})))

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Wired]:
        """Its stores, in a folder of its own. Raises UsageError where they are another run's, StoreError."""
        place = folder / self.name
        place.mkdir(exist_ok=True)
        with wired(self.ready, place) as parts:
            parts.journal.require_same(self.identity)
            yield with_rule(parts)


def with_rule(parts: Wired) -> Wired:
    """The same parts, with `rule` among what a steer policy may draw where there is a table."""
    grant = parts.setup.grant
    if RULE not in parts.setup.steers or RULE in grant.steer_legal:
        return parts
    return replace(parts, setup=replace(parts.setup, grant=replace(grant, steer_legal=(*grant.steer_legal, RULE))))


def domains_of(config: TransferConfig) -> tuple[Domain, ...]:
    """All domains, looked at and nothing written; each as large as asked or as its splits are.

    No task is in the training of two domains, so that several can be learned on together. Raises UsageError.
    """
    taken: set[str] = set()
    found = []
    for name, benchmark in config.named:
        domain = _domain(config, name, benchmark, taken)
        taken |= {task.digest for task in domain.train}
        found.append(domain)
    return tuple(found)


def search_config(config: TransferConfig, name: str, benchmark: str) -> SearchConfig:
    """What a search in one domain is told."""
    worker = config.workers.get(name)
    return SearchConfig(
        benchmark=benchmark,
        options=config.options.get(name, {}),
        worker=worker,
        worker_lm=config.worker_lm if worker == CHAT else None,
        api_base=config.api_base,
        seed=config.seed,
        attempts=config.attempts,
        turns=config.turns,
        train=1,
        val=LEAST,
        dev=LEAST,
        roots=config.roots,
        generations=config.generations,
        iterations=config.iterations,
        minibatch=1,
        concurrency=config.concurrency,
        root=config.root,
        tracking=False,
    )


def _domain(config: TransferConfig, name: str, benchmark: str, taken: set[str]) -> Domain:
    given = require_live(ready(search_config(config, name, benchmark), root=Path(config.root)))
    free = [task for task in given.benchmark.tasks("search") if task.digest not in taken]
    train, dev = free[: config.train], given.benchmark.tasks("dev")[: config.tasks]
    for split, there in (("search", train), ("dev", dev)):
        if len(there) < LEAST:
            raise UsageError(f"domain {name}: {len(there)} {split} tasks are left for it, it needs {LEAST}")
    splits = Splits(train=tuple(train), val=(), dev=tuple(dev))
    told = given.config.model_copy(
        update={"train": len(train), "dev": len(dev), "minibatch": min(config.minibatch, len(train))}
    )
    manifest = definition_of_done(given.benchmark, splits)
    return Domain(name, replace(given, config=told, splits=splits, manifest=manifest))


def sizes_said(config: TransferConfig, domains: Sequence[Domain]) -> list[str]:
    """Where a domain has fewer tasks than were asked, in words."""
    told = []
    for one in domains:
        for what, asked, there in (("dev", config.tasks, len(one.dev)), ("search", config.train, len(one.train))):
            if there < asked:
                told.append(f"{one.name}: {there} {what} tasks, all that there are; {asked} were asked")
    return told
