from __future__ import annotations

import pytest

# a contract outside a test file says otherwise only that it failed, not what it saw
pytest.register_assert_rewrite("tests.worlds.boxed")
