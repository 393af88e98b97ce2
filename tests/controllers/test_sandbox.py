"""The sandbox: what worker-written code cannot do, under each kind of isolation that works here."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from controllers.isolation import Isolation, SandboxConfig, works
from controllers.sandbox import Sandbox, SandboxResult
from controllers.supervise import descendants
from signatures.errors import UsageError

KINDS: tuple[Isolation, ...] = ("bwrap", "unshare", "rlimits")
pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
STRONGEST: Isolation = next((kind for kind in KINDS if works(kind)), "rlimits")


@pytest.fixture(params=KINDS)
def isolation(request: pytest.FixtureRequest) -> Isolation:
    kind: Isolation = request.param
    if not works(kind):
        pytest.skip(f"{kind} does not work here")
    return kind


async def run(source: str, isolation: Isolation, stdin: str = "", **limits: object) -> SandboxResult:
    settings = {"isolation": isolation, "allow_network_unconfined": True, **limits}
    sandbox = Sandbox(SandboxConfig.model_validate(settings))
    result = await sandbox.run({"main.py": source}, stdin=stdin)
    assert result.isolation == isolation
    assert descendants(os.getpid()) == []
    return result


def exists(name: str) -> bool:
    return Path(name).exists() and not name.startswith("/proc")


async def test_a_program_reads_writes_and_prints(isolation: Isolation) -> None:
    source = "import sys\nopen('note', 'w').write('hi')\nprint(open('note').read(), sys.stdin.read(), 'é')\nsys.exit(4)"
    result = await run(source, isolation, stdin="given")
    assert (result.stdout, result.exit_code, result.ended_by) == ("hi given é\n", 4, "exit")
    assert ("the network" in result.not_isolated) == (isolation == "rlimits")


async def test_files_in_folders_and_any_text_arrive_whole() -> None:
    config = SandboxConfig(isolation=STRONGEST, allow_network_unconfined=True)
    text = "a\r\nb\x00 é"
    source = "import ascii_of.it; print(ascii(open('data.txt', newline='').read()))"
    files = {"main.py": source, "ascii_of/it.py": "", "data.txt": text}
    assert (await Sandbox(config).run(files)).stdout.strip() == ascii(text)


async def test_no_variable_of_ours_is_seen() -> None:
    seen = await run("import os; print(' '.join(sorted(os.environ)))", STRONGEST)
    allowed = "HOME LANG LC_CTYPE PATH PWD PYTHONDONTWRITEBYTECODE PYTHONHASHSEED TMPDIR"
    assert set(seen.stdout.split()) <= set(allowed.split())


async def test_the_wall_clock_stops_a_loop_in_c(isolation: Isolation) -> None:
    assert (await run("10 ** 10 ** 8", isolation, wall_s=0.5)).ended_by == "wall"


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
        "import signal, time\nfor s in (1, 2, 14, 15, 24): signal.signal(s, signal.SIG_IGN)\ntime.sleep(600)",
    ],
)
async def test_the_wall_clock_stops_any_loop(source: str) -> None:
    assert (await run(source, STRONGEST, wall_s=0.5)).ended_by == "wall"


async def test_processor_time_is_limited() -> None:
    result = await run("while True: pass", STRONGEST, cpu_s=1, wall_s=30.0)
    assert (result.ended_by, result.exit_code) == ("exit", 128 + 9)


async def test_memory_is_limited(isolation: Isolation) -> None:
    result = await run("x = bytearray(1 << 30)", isolation, memory_bytes=1 << 28)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "MemoryError")


async def test_one_file_is_limited() -> None:
    result = await run("open('big', 'wb').write(bytes(2_000_000))", STRONGEST, file_bytes=1_000_000)
    assert "File too large" in result.stderr


async def test_all_files_together_are_limited(isolation: Isolation) -> None:
    if isolation == "rlimits":
        pytest.skip("rlimits cannot, and says so")
    source = "for n in range(9): open(str(n), 'wb').write(bytes(1_000_000))"
    result = await run(source, isolation, scratch_bytes=4_000_000)
    assert "No space left" in result.stderr


async def test_a_fork_bomb_stays_small_and_dies(isolation: Isolation) -> None:
    bomb = """
import os, time
for n in range(60):
    try:
        if os.fork() == 0:
            os.write(1, b"x")
            time.sleep(600)
    except OSError:
        os.write(1, b"refused ")
        break
    time.sleep(0.01)
time.sleep(600)
"""
    result = await run(bomb, isolation, processes=8, wall_s=4.0)
    assert result.ended_by == ("wall" if "refused" in result.stdout else "processes")
    assert 1 < result.stdout.count("x") < 30


async def test_a_daemon_does_not_outlive_the_run(isolation: Isolation) -> None:
    source = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for stream in (0, 1, 2): os.close(stream)
        time.sleep(600)
    os._exit(0)
os.wait()
"""
    assert (await run(source, isolation)).ended_by == "exit"  # `run` asserts that no descendant is left


async def test_a_flood_is_cut() -> None:
    result = await run("while True: print('x' * 999)", STRONGEST, output_bytes=10_000)
    assert (result.ended_by, len(result.stdout)) == ("output", 10_000)


async def test_the_network_is_out_of_reach(isolation: Isolation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2); print('connected')"
        result = await run(source, isolation)
    assert ("connected" in result.stdout) == ("the network" in result.not_isolated)


async def test_writes_outside_scratch_fail(isolation: Isolation, tmp_path: Path) -> None:
    if isolation == "rlimits":
        pytest.skip("rlimits cannot, and says so")
    home = Path.home()
    targets = [
        "/tiller-x",
        "/usr/tiller-x",
        "/etc/tiller-x",
        "/var/tmp/tiller-x",
        "/dev/tiller-x",
        "/run/tiller-x",
        "/proc/sys/kernel/hostname",
        f"{home}/tiller-x",
    ]
    source = f"""
for name in {targets!r}:
    try:
        open(name, 'a').write('x')
        print('wrote', name)
    except OSError:
        pass
open('/tmp/mine', 'w').write('x')
"""
    result = await run(source, isolation)
    assert (result.stdout, result.stderr) == ("", "")
    assert not any(map(exists, ["/tmp/mine", *targets]))
    hidden = await run(f"import os; print(os.path.exists({str(tmp_path)!r}))", isolation)
    assert hidden.stdout == "False\n"


async def test_privileges_cannot_be_had_back(isolation: Isolation) -> None:
    source = (
        "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapPrm', 'CapEff', 'NoNewPrivs'))])"
    )
    assert (await run(source, isolation)).stdout == "['0000000000000000', '0000000000000000', '1']\n"


async def test_runs_beside_each_other_do_not_share_limits_or_files() -> None:
    source = "import os; print(os.listdir('.')); open('x', 'w').close()"
    results = await asyncio.gather(
        *(
            Sandbox(SandboxConfig(isolation=STRONGEST, allow_network_unconfined=True)).run(
                {"m.py": source}, argv=["m.py"]
            )
            for _ in range(3)
        )
    )
    assert {r.stdout for r in results} == {"['m.py']\n"}


async def test_names_that_leave_the_folder_are_refused() -> None:
    for name in ("../x", "/etc/x"):
        with pytest.raises(UsageError, match="scratch folder"):
            await Sandbox(SandboxConfig(allow_network_unconfined=True)).run({name: ""})


def test_without_network_isolation_it_refuses_unless_told() -> None:
    with pytest.raises(UsageError, match="allow_network_unconfined=True"):
        Sandbox(SandboxConfig(isolation="rlimits")).isolation()
    told = SandboxConfig(isolation="rlimits", allow_network_unconfined=True)
    assert Sandbox(told).isolation() == "rlimits"


def test_the_strongest_that_works_is_taken() -> None:
    assert Sandbox(SandboxConfig(allow_network_unconfined=True)).isolation() == STRONGEST
