"""Domains: as large as asked or as there are tasks, apart in what they teach, with `rule` in every table."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.transfer.domains import domains_of, sizes_said
from signatures.errors import UsageError
from tests.worlds.chatty import ChattyWorker
from tests.worlds.transferred import small_transfer


def test_domains_are_apart_where_they_teach_and_keep_to_their_splits(tmp_path: Path) -> None:
    domains = domains_of(small_transfer(tmp_path))
    taught = [task.digest for domain in domains for task in domain.train]
    assert len(taught) == len(set(taught)) == 12
    for domain in domains:
        benchmark = domain.ready.benchmark
        assert {one.digest for one in domain.train} <= {one.digest for one in benchmark.tasks("search")}
        assert {one.digest for one in domain.dev} <= {one.digest for one in benchmark.tasks("dev")}
        assert domain.who == ("worker planted" if domain.name == "renamed" else "simulated worker planted")
    assert len({domain.identity for domain in domains}) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_table_has_rule_once(tmp_path: Path) -> None:
    quiet, _, renamed = domains_of(small_transfer(tmp_path))
    assert quiet.legal == ("none", "fan", "pump", "valve", "core", "rule")
    assert renamed.legal == ("none", "fan", "my_pump", "my_valve", "my_core", "rule")
    folder = tmp_path / "run"
    folder.mkdir()
    with quiet.kept_in(folder).opened(folder) as parts:
        assert parts.actions == quiet.legal
    assert (folder / "quiet.db").is_file()


def test_what_is_not_there_is_not_taken_and_that_is_said(tmp_path: Path) -> None:
    config = small_transfer(tmp_path, tasks=9999)
    domains = domains_of(config)
    assert {len(domain.dev) for domain in domains} == {180}
    assert sizes_said(config, domains)[0] == "quiet: 180 dev tasks, all that there are; 9999 were asked"
    assert sizes_said(small_transfer(tmp_path), domains_of(small_transfer(tmp_path))) == []


def test_a_domain_without_tasks_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="domain loud: 0 search tasks are left"):
        domains_of(small_transfer(tmp_path, train=9999))


def test_a_worker_of_its_own_and_no_recording(tmp_path: Path) -> None:
    workers = {"loud": "tests.worlds.chatty:ChattyWorker"}
    quiet, loud, _ = domains_of(small_transfer(tmp_path, workers=workers))
    assert (quiet.who, loud.who) == ("simulated worker planted", "model scripted")
    assert isinstance(loud.ready.worker, ChattyWorker)
    with pytest.raises(UsageError, match="only a recording"):
        domains_of(small_transfer(tmp_path, workers={"loud": "tests.worlds.chatty:OldRecording"}))
