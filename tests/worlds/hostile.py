"""Hostile strategy programs: each a whole program, with what must stop it. Markers stand for what a test offers them.

`SECRET` is the path of a file that holds a verdict, `TARGET` a path that must not come to be, `PORT` a port that is
listened to.
"""

from __future__ import annotations

from typing import NamedTuple


class Hostile(NamedTuple):
    """`stopped`: "refused", or the kind of the fault; `says`: a word of the message."""

    name: str
    source: str
    stopped: str
    says: str


def body(*lines: str) -> str:
    """A program of these lines, after one shot."""
    return (
        "\n".join(["async def strategy(ctx):", "    shot = await ctx.shot()", *(f"    {line}" for line in lines)])
        + "\n"
    )


def whole(*lines: str) -> str:
    """A program as it stands."""
    return "\n".join(lines) + "\n"


def _refused(name: str, says: str, source: str) -> Hostile:
    return Hostile(name, source, "refused", says)


HOSTILE: tuple[Hostile, ...] = (
    # to other modules and to built-in functions
    _refused("import", "an import", body("import os", 'os.system("touch TARGET")')),
    _refused("import before", "not one function", whole("import os", "async def strategy(ctx):", "    return")),
    _refused("from import", "an import", body("from os import fork", "fork()")),
    _refused("__import__", "thrown away", body('__import__("os").system("touch TARGET")')),
    _refused("open", "a call of open", body('open("TARGET", "w")')),
    _refused(
        "read the judge's file", "a call of .read", body('steer = open("SECRET").read()', "await ctx.shot(steer=steer)")
    ),
    _refused("eval", "a call of eval", body('eval("1")')),
    _refused("exec", "a call of exec", body('exec("import os")')),
    _refused("compile", "a call of compile", body('compile("1", "", "eval")')),
    _refused("getattr", "a call of getattr", body('x = getattr(ctx, "_left")')),
    _refused("type", "a call of type", body("x = type(shot)")),
    _refused("print a protocol line", "a call of print", body('print("{}")')),
    _refused("input", "a call of input", body("x = input()")),
    _refused("globals", "a call of globals", body("x = globals()")),
    _refused("vars", "a call of vars", body("x = vars(ctx)")),
    _refused("breakpoint", "a call of breakpoint", body("breakpoint()")),
    # along attributes
    _refused("subclasses", "a call of", body("x = ().__class__.__base__.__subclasses__()")),
    _refused("a class", "attribute .__class__", body("x = shot.__class__")),
    _refused("ctx's own", "ctx._calls", body("x = ctx._calls")),
    _refused("ctx's dict", "ctx.__dict__", body("x = ctx.__dict__")),
    _refused("a method's globals", "ctx as a value", body("c = ctx", "x = c.shot.__func__.__globals__")),
    _refused("a generator's frame", "attribute .gi_frame", body("x = [g.gi_frame for g in [shot]]")),
    _refused("a coroutine's frame", "attribute .cr_frame", body("x = ctx.shot().cr_frame")),
    _refused(
        "a traceback",
        "try",
        body("try:", "    x = 1 // 0", "except Exception as e:", "    x = e.__traceback__.tb_frame"),
    ),
    _refused("format text", "a call of .format", body('x = "{0.__class__.__mro__}".format(shot)')),
    _refused("format_map", "a call of .format_map", body('x = "{a.__class__}".format_map({"a": shot})')),
    _refused("an f-string", "a format string", body('x = f"{shot.__class__}"')),
    _refused("an f-string's spec", "a format string", body('x = f"{1:{shot.index}}"')),
    _refused("a new attribute", "this kind of target", body("shot.passed = True")),
    _refused("a deleted attribute", "Delete", body("del shot.passed")),
    _refused("a class pattern", "Match", body("match shot:", "    case object(__class__=c):", "        x = c")),
    _refused("a wide letter for dunder", "not Python", body("x = \uff3f\uff3fimport\uff3f\uff3f")),
    _refused("wide letters for open", "a call of open", body('x = \uff4f\uff50en("TARGET", "w")')),
    _refused("a built-in function as a value", "as a value", body("f = sorted", 'x = f("a")')),
    _refused("a method as a value", "attribute .append", body("x = [1]", "f = x.append")),
    _refused("another name for range", "a new value for range", body("range = 3")),
    _refused("another ctx", "a new value for ctx", body("ctx = shot")),
    # functions, classes, scopes
    _refused("a lambda", "a lambda", body("f = lambda: 1", "x = f()")),
    _refused("recursion", "a function inside", body("def f():", "    return f()", "f()")),
    _refused("recursion by itself", "await of something", body("await strategy(ctx)")),
    _refused("a class statement", "a class", body("class A:", "    pass")),
    _refused("a decorator", "a decorator", whole("@print", "async def strategy(ctx):", "    return")),
    _refused("a default", "other arguments", whole("async def strategy(ctx, x=print):", "    return")),
    _refused(
        "a default of ctx", "other arguments", whole("async def strategy(ctx=open('TARGET', 'w')):", "    return")
    ),
    _refused("an annotation", "other arguments", whole("async def strategy(ctx: open('TARGET', 'w')):", "    return")),
    _refused("an annotation of a result", "annotation", whole("async def strategy(ctx) -> print(1):", "    return")),
    _refused("an annotated name", "AnnAssign", body('x: open("TARGET", "w") = 1')),
    _refused("a second function", "not one function", whole("async def strategy(ctx):", "    return", "x = 1")),
    _refused("no coroutine", "not one function", whole("def strategy(ctx):", "    return")),
    _refused("a generator as strategy", "Yield", body("yield shot")),
    _refused("global", "Global", body("global x", "x = 1")),
    _refused("the walrus", ":=", body("if (y := shot.correct) > 0:", "    x = y")),
    _refused("the walrus in a comprehension", ":=", body("x = [y := n for n in range(3)]")),
    _refused("star arguments", "a * before", body("x = max(*[1, 2])")),
    _refused("star unpacking", "this kind of target", body("a, *b = [1, 2, 3]")),
    _refused("double star", "another name", body('x = max(**{"a": 1})')),
    _refused("double star in a dict", "** in a dict", body("x = {**{}}")),
    _refused("a set", "a set", body('x = {"a", "b"}')),
    _refused("async for", "AsyncFor", body("async for x in shot:", "    pass")),
    _refused("async with", "AsyncWith", body("async with shot:", "    pass")),
    _refused("an async comprehension", "async for", body("x = [y async for y in shot]")),
    _refused("with", "With", body('with open("TARGET", "w"):', "    pass")),
    _refused("await of something else", "await of", body("await shot")),
    _refused("a call of ctx kept", "without await", body("x = ctx.shot()")),
    _refused("await in a generator", "await inside", body("x = any(await ctx.shot() for y in range(3))")),
    _refused("except everything", "try", body("try:", "    await ctx.shot()", "except BaseException:", "    pass")),
    _refused("finally", "try", body("try:", "    return", "finally:", "    await ctx.shot()")),
    _refused("raise", "Raise", body("raise SystemExit")),
    _refused("assert", "Assert", body("assert shot.passed")),
    # claims
    _refused("a returned score", "a returned value", body("return 1.0")),
    _refused("a returned claim", "a returned value", body('return {"score": 1.0, "passed": True}')),
    _refused("a claim as text", "thrown away", body("(1.0, shot)")),
    # endless, huge
    _refused("while", "a while loop", body("while True:", "    pass")),
    _refused("a long range", "range(1000000)", body("for x in range(1000000):", "    pass")),
    _refused("a power", "**", body("x = 10 ** 10 ** 8")),
    _refused("a shift", "LShift", body("x = 1 << 999999999")),
    _refused("a huge literal", "very large", body("x = 0x" + "f" * 3000)),
    _refused("a huge decimal literal", "not Python", body("x = " + "9" * 5000)),
    _refused("an infinite literal", "not finite", body("x = 1e999")),
    _refused("deep brackets", "not Python", body("x = " + "(" * 3000 + ")" * 3000)),
    _refused("deep minus", "not readable", body("x = " + "-" * 7000 + "1")),
    _refused("deep attributes", "deeper", body("x = shot" + ".features" * 800)),
    _refused("deep ifs", "nested deeper", body("x = " + "1 if 1 else (" * 70 + "1" + ")" * 70)),
    _refused("an enormous source", "characters", body(*["x = 1"] * 100_000)),
    _refused("many parts", "parts", body("x = [" + "1," * 3000 + "]")),
    _refused(
        "loops in loops",
        "not Python",
        body(*("    " * n + f"for a{n} in range(2):" for n in range(22)), "    " * 22 + "pass"),
    ),
    _refused("a null byte", "character", body("x = 1\x00")),
    _refused("half a pair of surrogates", "character", body('x = "\ud800"')),
    _refused("text that runs backwards", "character", body("x = 1 # \u202e")),
    _refused("escapes", "character", body('x = "\\x5f\\x5fclass\\x5f\\x5f"')),
    _refused("bytes", "bytes", body('x = b"os"')),
    _refused("an empty text", "not one function", ""),
    # what only the run shows
    Hostile("a long text", body('x = "a"', "for y in range(40):", "    x = x + x"), "memory", "longer"),
    Hostile("a text times a number", body('x = "a" * 999999999'), "error", "not a number"),
    Hostile("a list times a number", body("x = [0] * 999999999"), "memory", "1000 items"),
    Hostile("a text and a percent sign", body('x = "%999999999d" % 1'), "error", "not a number"),
    Hostile("a large number step by step", body("x = 3", "for y in range(64):", "    x = x * x"), "error", "63 bits"),
    Hostile("a large power by rounding", body("x = round(5, -999999999)", "y = [0, 1][9]"), "error", "IndexError"),
    Hostile(
        "loops in loops in loops",
        body("for a in range(64):", "    for b in range(64):", "        for c in range(64):", "            x = a"),
        "cpu",
        "steps",
    ),
    Hostile(
        "a comprehension of comprehensions",
        body("x = [1 for a in range(64) for b in range(64) for c in range(64)]"),
        "cpu",
        "steps",
    ),
    Hostile("a range by arithmetic", body("x = 99999", "for y in range(x * x):", "    pass"), "cpu", "64 rounds"),
    Hostile(
        "a list that grows under its loop", body("x = [1]", "for y in x:", "    x.append(y)"), "memory", "1000 items"
    ),
    Hostile(
        "a dict that grows under its loop",
        body("x = {0: 0}", "for y in x:", "    x[y + 1] = 0"),
        "error",
        "RuntimeError",
    ),
    Hostile(
        "lists of lists of lists",
        body("x = [1]", "for y in range(64):", "    x = [x, x]", "z = x == x"),
        "error",
        "list where",
    ),
    Hostile(
        "a key whose hash takes for ever",
        body("x = (1, 1)", "for y in range(64):", "    x = (x, x)", "z = {}", "z[x] = 1"),
        "error",
        "tuple where",
    ),
    Hostile(
        "an order that takes for ever",
        body("x = (1, 1)", "for y in range(64):", "    x = (x, x)", "z = sorted([x, x])"),
        "error",
        "tuple where",
    ),
    Hostile("a list in itself", body("x = [1]", "x.append(x)", "z = str(x)"), "error", "list where"),
    Hostile(
        "much memory in little steps",
        body("x = []", "for a in range(64):", "    for b in range(64):", "        x.append([0] * 999)"),
        "memory",
        "",
    ),
    Hostile(
        "shots without end",
        body("for a in range(64):", "    for b in range(64):", "        await ctx.shot()"),
        "cpu",
        "calls",
    ),
    Hostile(
        "questions without end",
        body("for a in range(64):", "    for b in range(64):", "        await ctx.budget()"),
        "cpu",
        "calls",
    ),
    Hostile("too many at once", body("await ctx.shots(1000)"), "illegal", "from 1 to 4"),
    Hostile("a start that is no attempt", body('await ctx.shot(start="SECRET")'), "illegal", "start"),
    Hostile("a steer that is no text", body("await ctx.shot(steer=[1])"), "illegal", "steer"),
    Hostile(
        "a steer that is a book",
        body('x = "aaaaaaaaaa"', "for y in range(9):", "    x = x + x", "await ctx.shot(steer=x)"),
        "illegal",
        "steer",
    ),
    Hostile("a policy that is none", body('await ctx.consult("judge", ["a"])'), "illegal", "policy"),
    Hostile("an attribute of a number", body("x = 3", "y = x.index"), "error", "no .index"),
    Hostile("an attribute of a text", body('x = ""', "y = x.index"), "error", "no .index"),
    Hostile("an item of ctx's answer", body("x = shot[0]"), "error", "no items"),
    Hostile("a method of a text", body('x = "a"', "x.append(1)"), "error", "no .append"),
    Hostile("division by zero", body("x = 1 // 0"), "error", "ZeroDivisionError"),
    Hostile(
        "a name before its value",
        body("if shot.passed and not shot.passed:", "    x = 1", "y = x"),
        "error",
        "UnboundLocalError",
    ),
)


class Escaped(NamedTuple):
    """A program that has got past the language: it runs with every built-in function and no guard."""

    name: str
    source: str
    kinds: tuple[str, ...]
    "of the fault that may stop it; `call`: it ends as a program that asks for an attempt, having reached nothing"


ESCAPED: tuple[Escaped, ...] = (
    Escaped("an endless loop", body("while True: pass"), ("cpu",)),
    Escaped("an endless loop before", whole("while True: pass"), ("cpu",)),
    Escaped("sleep", whole("import time", "time.sleep(600)"), ("wall",)),
    Escaped("a memory bomb", body("x = []", "while True: x.append(bytearray(1 << 20))"), ("memory",)),
    Escaped("one large piece", body("x = bytearray(1 << 32)"), ("memory",)),
    Escaped("a huge number", body("x = 10 ** 10 ** 8"), ("cpu", "memory")),
    Escaped("deep recursion", body("def f(): return f()", "f()"), ("error",)),
    Escaped("a crash", body("import ctypes", "ctypes.string_at(0)"), ("error",)),
    Escaped("fork", body("import os", "if os.fork() == 0:", "    import time", "    time.sleep(600)"), ("processes",)),
    Escaped("a fork bomb", body("import os, time", "while True:", "    os.fork()"), ("processes",)),
    Escaped(
        "a command", body("import os", 'os.system("touch TARGET")', "await ctx.shot()"), ("call", "processes", "error")
    ),
    Escaped("another program", body("import os", 'os.execv("/bin/sh", ["sh", "-c", "touch TARGET"])'), ("error",)),
    Escaped("a written file", body('open("TARGET", "w").write("x")'), ("error",)),
    Escaped("a file in its folder", body('open("here", "w").write("x")'), ("error",)),
    Escaped("the judge's file", body('verdict = open("SECRET").read()', "await ctx.shot(steer=verdict)"), ("error",)),
    Escaped("the password file", body('x = open("/etc/passwd").read()', "await ctx.shot(steer=x[:9])"), ("error",)),
    Escaped(
        "higher limits", body("import resource", "resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))"), ("error",)
    ),
    Escaped("the network", body("import socket", 'socket.create_connection(("127.0.0.1", PORT), 2)'), ("error",)),
    Escaped("exit", body("import os", "os._exit(0)"), ("error",)),
    Escaped("system exit", body("raise SystemExit"), ("error",)),
    Escaped("its own death", body("import os", "os.kill(os.getpid(), 9)"), ("memory",)),
    Escaped(
        "a catch of everything",
        body("while True:", "    try: await ctx.shot()", "    except BaseException: pass"),
        ("cpu", "error", "call"),
    ),
    Escaped(
        "a forged line",
        body("import os", "os.write(3, b'{\"id\": 1}\\n')", 'os.write(1, b"x")', "while True: os.write(3, b'{}\\n')"),
        ("protocol",),
    ),
    Escaped("a flood", body("import os", 'while True: os.write(3, b"x" * 9999)'), ("protocol",)),
    Escaped(
        "a forged call",
        body("import types", 'await types.coroutine(lambda: (yield {"kind": "score", "value": 1.0}))()'),
        ("protocol",),
    ),
    Escaped(
        "a call with more in it",
        body("import types", 'await types.coroutine(lambda: (yield {"kind": "shot", "score": 1.0}))()'),
        ("protocol",),
    ),
    Escaped(
        "no JSON", body("import types", "await types.coroutine(lambda: (yield object()))()"), ("error", "protocol")
    ),
)
