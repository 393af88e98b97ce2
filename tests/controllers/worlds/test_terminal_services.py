from __future__ import annotations

from controllers.worlds.terminal_services import SERVICES
from tests.worlds.boxed import ScenarioContract


class TestServices(ScenarioContract):
    scenarios = SERVICES
