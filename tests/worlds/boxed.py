"""What every scenario of the terminal owes: a sound box is healthy, and each fault breaks it and can be mended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

import pytest

from controllers.isolation import works
from controllers.worlds.terminal import health_in
from controllers.worlds.terminal_box import MISSING, Box
from controllers.worlds.terminal_faults import Atom, Scenario, broken, sound
from controllers.worlds.terminal_layers import LOOKS


@pytest.mark.skipif(not works("bwrap"), reason=MISSING)
class ScenarioContract:
    """A subclass names its scenarios; one box serves them all."""

    scenarios: ClassVar[tuple[Scenario, ...]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "atom" in metafunc.fixturenames:
            pairs = [(one, atom) for one in self.scenarios for atom in one.atoms]
            metafunc.parametrize(("scenario", "atom"), pairs, ids=[f"{one.name}-{atom.name}" for one, atom in pairs])
        else:
            metafunc.parametrize("scenario", self.scenarios, ids=[one.name for one in self.scenarios])

    @pytest.fixture(scope="class")
    @classmethod
    def box(cls) -> Iterator[Box]:
        box = Box()
        yield box
        box.close()

    def test_a_sound_box_is_healthy_again_and_again_and_shows_no_fault(self, box: Box, scenario: Scenario) -> None:
        box.reset(sound(scenario))
        said = {layer: box.run(look).out for layer, look in LOOKS.items()}
        assert [atom.name for atom in scenario.atoms if re.search(atom.sign, said[atom.layer], re.MULTILINE)] == []
        assert health_in(box).passed and health_in(box).passed
        left = box.snapshot()
        assert {path: left[path] for path in sound(scenario)} == sound(scenario), "a health run changes nothing of it"
        box.reset(left)
        assert health_in(box).passed, "nor does it need what was running"

    def test_a_fault_breaks_health_shows_its_sign_and_is_mended(self, box: Box, scenario: Scenario, atom: Atom) -> None:
        whole = sound(scenario)
        box.reset(broken(scenario, (atom,)))
        assert re.search(atom.sign, box.run(LOOKS[atom.layer]).out, re.MULTILINE)
        assert not health_in(box).passed
        box.reset(broken(scenario, (atom,)))
        ran = box.run(atom.mend)
        assert (ran.code, ran.ended) == (0, "exit"), ran.err
        mended = box.snapshot()
        assert {path: mended.get(path) for path in whole} == whole, "as it was before the fault"
        assert [path for path in mended if path not in whole and mended[path][0] != "d"] == []
