"""Terminal's judge: what no health script sees, tried in a box of the judge's own.

Beside the health checks (the judge brings its own copy of the script) it looks at collateral damage, loosened modes,
whether a second start changes anything, whether the work survives that all output is lost and everything is killed,
and whether new inputs give the right answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from controllers.worlds.terminal import TerminalWorld, health_in
from controllers.worlds.terminal_box import Entry, Tree, from_text
from controllers.worlds.terminal_faults import Scenario, sound
from judges.records import Judgement
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Task

START: Final = "bin/start >/dev/null 2>&1"
LIMIT_S: Final = 20.0


class Fresh(NamedTuple):
    """New inputs, and what a sound box says of them."""

    script: str
    says: str


FRESH: Final[Mapping[str, Fresh]] = {
    "web": Fresh(
        "echo 777 > data/prices/fig; echo Autumn > releases/2/page; sed -i s/EUR/GBP/ etc/web.conf\n"
        f"{START}; bin/ask /price/fig; bin/ask /price/apple; bin/ask /; bin/ask /price/nut",
        "777 GBP\n120 GBP\nAutumn\n404\n",
    ),
    "cron": Fresh(
        "echo d 4 > data/in/west; sed -i s/Daily/Weekly/ etc/jobs.conf; echo 10 extra >> etc/crontab\n"
        "printf '#!/bin/bash\\necho more >> var/extra\\n' > bin/extra; chmod 755 bin/extra\n"
        f"{START}; cat var/report var/extra; ls var/tmp",
        "Weekly 4 lines\nmore\nmore\nmore\n",
    ),
    "desk": Fresh(
        "echo A deed > data/inbox/deed; sed -i s/green/red/ etc/desk.conf; echo n3w > etc/key\n"
        f"{START}; cat var/signed/deed; cut -d/ -f3 var/signed/will; stat -c %a etc/key",
        "A deed / red / Town hall / 1375966438\n Town hall \n600\n",
    ),
    "rotate": Fresh(
        "seq 100 130 > data/logs/new.log; sed -i s/keep=2/keep=1/ etc/rotate.conf; echo five >> data/logs/app.log\n"
        f"{START}; cat var/archive/new.log.1 var/archive/web.log.1 var/archive/latest var/index",
        "130\nGET /g\nfive\napp.log.1\nnew.log.1\nweb.log.1\n",
    ),
    "deploy": Fresh(
        "echo 'Ask @HOST@ at @HOST@' > releases/7/faq.html; sed -i s/shop.example/a.example/ etc/deploy.conf\n"
        f"{START}; cat var/www/faq.html var/www/about.html var/www/stage",
        "Ask a.example at a.example\n<h1>About a.example</h1>\nlive\n",
    ),
    "tools": Fresh(
        f"printf 'dog\\neel\\n' >> data/words; sed -i '1s/ant/gnu/' data/words\n{START}; cat var/said/*; ls var/said",
        "5\nHello gnu\ngnu+bee+cat+dog+eel\ncount\ngreet\njoin\n",
    ),
    "pipeline": Fresh(
        f"printf '7,70,eve\\n100,1,x\\nend,2,x\\n' >> data/2024-06.csv; {START}; cat var/out.csv",
        "order,total\n7,70\n9,250\n10,40\n12,30\n100,1\n",
    ),
    "ledger": Fresh(
        "printf 'inn,11\\nmill,1\\n' >> data/moves/06.csv; printf 'well,5\\n' >> data/accounts.csv\n"
        f"sed -i s/EUR/GBP/ etc/ledger.conf; {START}; cat var/balances",
        "mill 124 GBP\ninn 79 GBP\nforge 69 GBP\nwell 5 GBP\n",
    ),
}
"""Scenario -> inputs that stand in no box and no ticket."""


class Case(NamedTuple):
    """What the judge knows of a task: its kind of box, and the paths that its faults are in."""

    scenario: Scenario
    touched: frozenset[str]


class TerminalJudge:
    """All parts hold: 1, else 0. An output that is no snapshot of a box scores 0."""

    def __init__(self, world: TerminalWorld, cases: Mapping[str, Case]) -> None:
        self._world = world
        self._cases = dict(cases)
        told = {digest: (case.scenario, sorted(case.touched)) for digest, case in self._cases.items()}
        self._revision = f"terminal parts of 1, {digest_of(told, FRESH)}"

    @property
    def revision(self) -> str:
        """The digest of all cases and of the new inputs."""
        return self._revision

    @property
    def deterministic(self) -> bool:
        """Yes: a box draws nothing, and its clock decides nothing short of a limit."""
        return True

    async def judge(self, task: Task, output: str) -> Judgement:
        """Try the snapshot `output`; no score for a task it does not know. Raises RuntimeError where boxes are lost."""
        case = self._cases.get(task.digest)
        if case is None:
            return Judgement(score=None, reason="no box is known for this task")
        try:
            tree = from_text(output)
        except UsageError as error:
            return Judgement(score=0.0, reason=str(error))
        parts = await asyncio.to_thread(self._parts, case, tree)
        failed = [name for name, held in parts.items() if not held]
        return Judgement(score=float(not failed), reason=", ".join(failed), parts=parts)

    def _parts(self, case: Case, tree: Mapping[str, Entry]) -> dict[str, bool]:
        whole = sound(case.scenario)
        judged = _with_own_health(tree, whole)
        parts = {"collateral": _unharmed(case, tree, whole), "modes": not _loosened(tree, whole)}
        with self._world.box(judged) as box:
            parts["health"] = health_in(box).passed
            if not parts["health"]:
                return parts  # the rest would only repeat it
            started = box.run(START, limit_s=LIMIT_S).code == 0
            once = box.snapshot()
            started = box.run(START, limit_s=LIMIT_S).code == 0 and started
            parts["idempotence"] = started and box.snapshot() == once
            bare = {path: entry for path, entry in judged.items() if path in whole or not path.startswith("var/")}
            box.reset(bare)
            parts["restart"] = health_in(box).passed
            fresh = FRESH[case.scenario.name]
            box.reset(bare)
            parts["fresh inputs"] = box.run(fresh.script, limit_s=LIMIT_S).out == fresh.says
        return parts


def _with_own_health(tree: Tree, whole: Tree) -> dict[str, Entry]:
    """The tree with the judge's copy of the health script, whatever stands at its name."""
    rest = {path: entry for path, entry in tree.items() if path != "health" and not path.startswith("health/")}
    return {**rest, "health": whole["health"]}


def _unharmed(case: Case, tree: Tree, whole: Tree) -> bool:
    """Whether all that the box had is there, of its kind, and unchanged where no fault was."""
    for path, (kind, _, text) in whole.items():
        found = tree.get(path)
        if found is None or found[0] != kind or (path not in case.touched and found[2] != text):
            return False
    return True


def _loosened(tree: Tree, whole: Tree) -> bool:
    """Whether somebody may write, or read what was the owner's alone, who could not in a sound box."""
    for path, (kind, mode, _) in tree.items():
        if kind == "l":
            continue
        usual = whole[path][1] if path in whole else 0o755
        private = 0 if usual & 0o044 else 0o044
        if mode & ~usual & (0o022 | private):
            return True
    return False
