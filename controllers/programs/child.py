"""A program of its own: runs one strategy program, again and again from its start. Standard library only.

It is started by `controllers.programs.host`, confined, as `python -I -S child.py` with `guards.py` and `subset.py`
beside it, and talks JSON lines: first limits and source, then for each line of answers the next call. Before the
source is compiled it gives up what is left to give up: it can open no file, no socket and no process any more.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Generator

# -I leaves the script's own folder out of the path.
# ruff: noqa: PTH100, PTH120
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import guards  # type: ignore[import-not-found,unused-ignore]  # beside this file, where it runs
import subset  # type: ignore[import-not-found,unused-ignore]

Json = dict[str, object]
FAILURES = (
    *(ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, ImportError, LookupError),
    *(NameError, OSError, RuntimeError, StopAsyncIteration, StopIteration, SyntaxError, TypeError, ValueError),
)

KINDS: dict[type[BaseException], str] = {MemoryError: "memory", BlockingIOError: "processes"}
# The kernel says the second where there is one process too many.


class Told:
    """What an answer holds."""

    def __init__(self, body: Json) -> None:
        self.__dict__.update(body)


class Shot(Told):
    """One attempt."""


class Left(Told):
    """What is left of the budget."""


class Tools(Told):
    """The tools seen, and the legal steers."""


class Asked:
    """A call of `ctx`, to be awaited."""

    def __init__(self, call: Json) -> None:
        self.call = call

    def __await__(self) -> Generator[Json, object, object]:
        return (yield self.call)


class Context:
    """`ctx`. It can only ask; who answers is in another process."""

    def __init__(self, calls: int) -> None:
        self._calls, self._left = calls, calls

    def _ask(self, **call: object) -> Asked:
        self._left -= 1
        if self._left < 0:
            raise guards.Broken("cpu", f"it makes more than {self._calls} calls")
        return Asked(call)

    def shot(self, start: object = None, steer: object = "none") -> Asked:
        """One attempt."""
        if start not in (None, "last", "best"):
            raise guards.Broken("illegal", 'shot: start is None, "last" or "best"')
        return self._ask(kind="shot", start=start, steer=_word(steer, "shot: steer"))

    def shots(self, n: object) -> Asked:
        """Several fresh attempts."""
        if type(n) is not int or not 1 <= n <= 4:
            raise guards.Broken("illegal", "shots: n is a whole number from 1 to 4")
        return self._ask(kind="shots", n=n)

    def critique(self) -> Asked:
        """The features of the attempts so far."""
        return self._ask(kind="critique")

    def consult(self, policy: object, options: object) -> Asked:
        """A model's choice of one option."""
        if policy not in ("stop", "topology", "steer"):
            raise guards.Broken("illegal", 'consult: policy is "stop", "topology" or "steer"')
        if not isinstance(options, list | tuple) or not 1 <= len(options) <= 32:
            raise guards.Broken("illegal", "consult: options is a list of 1 to 32 texts")
        return self._ask(kind="consult", policy=policy, options=[_word(o, "consult: an option") for o in options])

    def list_tools(self) -> Asked:
        """Tools and actions."""
        return self._ask(kind="tools")

    def budget(self) -> Asked:
        """What is left."""
        return self._ask(kind="budget")


def _word(value: object, what: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 100:
        raise guards.Broken("illegal", f"{what} is a text of 1 to 100 characters")
    return value


def understood(answer: Json) -> object:
    """An answer as the program gets it."""
    body = {name: value for name, value in answer.items() if name != "kind"}
    kind = answer["kind"]
    if kind == "shots":
        return [understood(shot) for shot in body["shots"]]  # type: ignore[attr-defined]
    if kind in ("critique", "consult"):
        return body["features" if kind == "critique" else "option"]
    return {"shot": Shot, "budget": Left, "tools": Tools}[str(kind)](body)


def next_call(code: object, answers: list[Json], limits: dict[str, int]) -> Json:
    """The first call beyond the answers, or `done`. Raises Broken, and whatever the program raises."""
    names = guards.Guard(limits["steps"], (Shot, Left, Tools)).names()
    exec(code, names)  # type: ignore[arg-type]
    run = names["strategy"](Context(limits["calls"]))
    try:
        call = run.send(None)
        for number, answer in enumerate(answers):
            if call["kind"] != answer["kind"]:
                return {"misfit": f"answer {number} is for {answer['kind']}, the program asked for {call['kind']}"}
            call = run.send(understood(answer))
    except StopIteration:
        return {"call": {"kind": "done"}}
    finally:
        run.close()
    return {"call": call}


def faults(error: BaseException) -> Json:
    """What went wrong, where: text of a program's making, so short and plain."""
    line, at = 0, error.__traceback__
    while at is not None:
        line = at.tb_lineno if at.tb_frame.f_code.co_filename == "<strategy>" else line
        at = at.tb_next
    if isinstance(error, guards.Broken):
        kind, said = error.kind, str(error)
    else:
        kind, said = KINDS.get(type(error), "error"), f"{type(error).__name__}: {error}"
    return {"fault": {"kind": kind, "message": f"line {line}: {said}"[:300]}}


def limit(cpu_s: int) -> None:
    """Let this process take `cpu_s` more seconds of processor time."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(time.process_time()) + 1 + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, hard) if hard >= 0 else soft, hard))


def give_up_everything() -> None:
    """No new file descriptor (so no file, no socket), no process, no file's growth, no core, from here on."""
    for name in ("NOFILE", "NPROC", "FSIZE", "CORE"):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (0, 0))


def main() -> None:
    """Answer until standard input ends."""
    lines, out = sys.stdin.buffer, os.dup(1)
    os.dup2(2, 1)  # what prints does not speak to the parent

    def reply(id: object, body: Json) -> None:
        text = json.dumps({"id": id, "cpu_s": time.process_time(), **body}) + "\n"
        sent, data = 0, text.encode()
        while sent < len(data):
            sent += os.write(out, data[sent:])

    first = json.loads(lines.readline())
    give_up_everything()
    limit(first["limits"]["cpu_s"])
    try:
        code = compile(guards.instrument(subset.parse(first["source"])), "<strategy>", "exec")
    except subset.Refused as error:
        reply(first["id"], {"refused": {"line": error.line, "message": str(error)}})
        return
    except (MemoryError, *FAILURES) as error:
        reply(first["id"], faults(error))
        return
    reply(first["id"], {"ready": True})
    while line := lines.readline():
        request = json.loads(line)
        limit(first["limits"]["cpu_s"])
        try:
            body = next_call(code, request["answers"], first["limits"])
        except (guards.Broken, MemoryError, *FAILURES) as error:
            body = faults(error)
        reply(request["id"], body)


if __name__ == "__main__":
    main()
