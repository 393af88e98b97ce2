from __future__ import annotations

from controllers.worlds.terminal_files import FILES
from tests.worlds.boxed import ScenarioContract


class TestFiles(ScenarioContract):
    scenarios = FILES
