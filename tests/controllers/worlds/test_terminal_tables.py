from __future__ import annotations

from controllers.worlds.terminal_tables import TABLES
from tests.worlds.boxed import ScenarioContract


class TestTables(ScenarioContract):
    scenarios = TABLES
