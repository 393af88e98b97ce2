# Every target works from a fresh clone that has uv (pip install uv).
.PHONY: install check test slow docs constraints clean

install:  ## the virtual environment, as uv.lock has it
	uv sync --locked

check:  ## what needs no test: lint, format, types, order of packages
	uv run ruff check .
	uv run ruff format --check .
	uv run mypy
	uv run lint-imports --no-logo

test:  ## all tests but the minute-long ones
	uv run pytest

slow:  ## the minute-long ones
	uv run pytest -m slow --timeout=1800 -n 0

docs:  ## run what README and docs/ show, and follow their links
	uv run pytest tests/house/test_docs.py

constraints:  ## constraints.txt from uv.lock, for those who install with pip
	echo '# Made from uv.lock by `make constraints`; use: pip install -e . -c constraints.txt' > constraints.txt
	uv export --frozen --no-hashes --no-emit-project --no-annotate --no-header --all-extras --all-groups >> constraints.txt

clean:  ## everything that can be made again; runs/ is left alone
	rm -rf dist build htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name .venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
