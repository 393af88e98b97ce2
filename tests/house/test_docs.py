"""What README and docs/ show is run; what they link to and list is there.

- `python` blocks of one page are run in order as one program. A `text` block after `<!-- output -->` is what the
  python block before it must print.
- `console` blocks after `<!-- tested -->`: each `$ command` is run, and the lines below it, if any, are what it must
  print (stdout and stderr), `...` standing for anything.
- a block after `<!-- not run: reason -->` is only looked at.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / "docs").rglob("*.md")))
LINKING = (*PAGES, "CONTRIBUTING.md", "AGENTS.md", "CHANGELOG.md", "LOG.md")
SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BREAK = "\x1e"


class Block(NamedTuple):
    """A fenced block: its language, the comment on the line before it, and its text."""

    language: str
    mark: str
    text: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    lines = iter(enumerate(text.splitlines(), 1))
    mark = ""
    for number, line in lines:
        if line.startswith("```"):
            body = []
            for _, inner in lines:
                if inner.startswith("```"):
                    break
                body.append(inner)
            yield Block(line.strip("` ").split(" ")[0], mark, "".join(f"{one}\n" for one in body), number)
            mark = ""
        elif line.strip():
            found = re.fullmatch(r"<!-- (.+?) -->", line.strip())
            mark = found[1] if found else ""


def python_program(page: str) -> tuple[str, list[str | None]]:
    """The page's python blocks as one program, and what each must print (None: not said)."""
    program: list[str] = []
    expected: list[str | None] = []
    for block in blocks(page):
        if block.language == "python" and not block.mark.startswith("not run: "):
            program.append(block.text)
            expected.append(None)
        elif block.mark == "output":
            expected[-1] = block.text
    return f"print({BREAK!r}, flush=True)\n".join(program), expected


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Each tested command and what it must print, empty where nothing is shown."""
    for block in blocks(page):
        if block.language != "console" or block.mark != "tested":
            continue
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def environment() -> dict[str, str]:
    """As after the set-up command: our Python first on the path, the checkout importable, no colours, no key."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_TRACKING_URI"))}
    here = Path(sys.executable).parent
    return {
        **kept,
        "PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "160",
    }


def shown(want: str, got: str) -> str:
    """Empty where `got` is what the page shows, else the difference in words."""
    return "" if doctest.OutputChecker().check_output(want, got, SAME) else f"shown:\n{want}\nprinted:\n{got}"


def tree_entries(page: str) -> Iterator[str]:
    """The paths of the file tree: the block of which a line starts with `signatures/`."""
    for block in blocks(page):
        if not re.search(r"^[\s│├└─]*signatures/", block.text, re.MULTILINE):
            continue
        above: list[tuple[int, str]] = []
        for line in block.text.splitlines():
            if not (match := re.match(r"([\s│├└─]*)([\w.{},/<>*-]+)", line)):
                continue
            depth, name = len(match[1]), match[2]
            above = [(at, folder) for at, folder in above if at < depth]
            yield "".join(folder for _, folder in above) + name
            if name.endswith("/"):
                above.append((depth, name))


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+?) *$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            yield target


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run_and_print_what_is_shown(page: str, tmp_path: Path) -> None:
    program, expected = python_program((ROOT / page).read_text(encoding="utf-8"))
    if not expected:
        return
    (tmp_path / "page.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "page.py"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    printed = ended.stdout.split(f"{BREAK}\n")
    assert [
        difference for want, got in zip(expected, printed, strict=True) if want and (difference := shown(want, got))
    ] == []


@pytest.mark.parametrize("page", PAGES)
def test_console_blocks_run_and_print_what_is_shown(page: str, tmp_path: Path) -> None:
    for command, want in commands((ROOT / page).read_text(encoding="utf-8")):
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        # an error that the page shows is meant; a silent one is not
        assert ended.returncode == 0 or "error: " in want, f"{command}\n{ended.stdout}"
        assert not want or not (difference := shown(want, ended.stdout)), f"{command}\n{difference}"


@pytest.mark.parametrize("page", LINKING)
def test_every_relative_link_resolves(page: str) -> None:
    assert list(broken_links(ROOT / page)) == []


@pytest.mark.parametrize("page", LINKING)
def test_every_file_that_is_named_exists(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    named = re.findall(r"`((?:[a-z]+/)+[\w.]*\.(?:py|md|toml))`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", LINKING)
def test_every_command_that_is_named_exists(page: str) -> None:
    named = re.findall(r"experiments[./](\w+_run)\b|`(\w+_run)`", (ROOT / page).read_text(encoding="utf-8"))
    modules = {one or other for one, other in named}
    assert [name for name in sorted(modules) if not (ROOT / "experiments" / f"{name}.py").exists()] == []


def test_every_file_of_the_readmes_tree_exists_and_no_package_is_left_out(packages: tuple[str, ...]) -> None:
    entries = list(tree_entries((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {f"{package}/" for package in packages} <= set(entries)
    assert [entry for entry in entries if not (ROOT / entry).exists()] == []


def test_every_page_is_linked_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {Path(page).name for page in PAGES if page.startswith("docs/")} - {"index.md"}
    assert [page for page in sorted(pages) if f"({page})" not in index] == []


def test_ci_runs_the_readmes_test_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = [
        line.removeprefix("$ ") for block in blocks(readme) for line in block.text.splitlines() if "pytest" in line
    ]
    assert shown, "the README names no test command"
    assert shown[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", LINKING)
def test_no_place_is_still_held(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert re.findall(r"^(?:NUMBER|TODO|TBD|FIXME)\b|\b(?:RUNTIME|TODO|TBD|FIXME)\b", text, re.MULTILINE) == []


def test_agents_md_is_short() -> None:
    assert len((ROOT / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 80


PAGE = """
text
```python
x = 1
print(x)
```

<!-- output -->
```text
1
```
<!-- not run: needs a key -->
```python
1 / 0
```
```python
print(x + 1)
```
<!-- tested -->
```console
$ echo a; echo b
a
...
$ true
```
```console
$ false
```
```
signatures/      the words
  errors.py      the tree
controllers/
├── corpus/      kept
│   └── blobs.py
```
"""


def test_a_page_is_read_as_written() -> None:
    program, expected = python_program(PAGE)
    assert "1 / 0" not in program
    assert program.count(BREAK.encode("unicode_escape").decode()) == 1
    assert expected == ["1\n", None]
    assert list(commands(PAGE)) == [("echo a; echo b", "a\n...\n"), ("true", "")]
    assert list(tree_entries(PAGE)) == [
        "signatures/",
        "signatures/errors.py",
        "controllers/",
        "controllers/corpus/",
        "controllers/corpus/blobs.py",
    ]


def test_a_wrong_output_and_a_broken_link_are_found(tmp_path: Path) -> None:
    assert shown("a\n...\n", "a\nb\nc\n") == ""
    assert "printed:\nc" in shown("a\n", "c\n")
    page = tmp_path / "page.md"
    page.write_text("# One *thing*: two\n[a](page.md#one-thing-two) [b](#absent) [c](no.md) [d](https://x.org/y)\n")
    assert list(broken_links(page)) == ["#absent", "no.md"]
