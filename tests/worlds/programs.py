"""Random strategy programs, for properties that hold of all of them."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ("a", "b", "shot")
_number = st.sampled_from(("0", "1", "3", "0.5", "shot.correct", "shot.index", "len(seen)", "a", "b"))
_flag = st.one_of(
    st.sampled_from(("shot.passed", "not shot.passed", "True", "shot.outcome == 'ok'", "0 < a <= 3", "'x' in seen")),
    st.tuples(_number, st.sampled_from(("<", ">=", "!=")), _number).map(" ".join),
)
_value = st.one_of(
    _number,
    st.tuples(_number, st.sampled_from(("+", "-", "*")), _number).map(" ".join),
    st.sampled_from(
        (
            *("max(a, b)", "sum([a, b])", "min(seen + [0])", "round(a, 2)", "sorted([a, b])[0]", "int(a)"),
            *("sum(x for x in seen)", "len([x for x in range(4) if x > a])", "{'k': a}.get('k', 0)", "abs(-a)"),
            *("sum(x * y for x, y in zip(seen, [1, 2]))", "(await ctx.critique()).get('repeats', 0)"),
            *("len((await ctx.list_tools()).actions)", "len(await ctx.consult('stop', ['done', 'continue']))"),
        )
    ),
)
_call = st.sampled_from(
    (
        *("await ctx.shot()", "await ctx.shot(start='last')", "await ctx.shot(start='best', steer='report')"),
        *("(await ctx.shots(2))[0]", "(await ctx.shots(n=3))[-1]"),
    )
)


def _lines(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    def under(head: str, lines: list[str]) -> list[str]:
        return [head, *(f"    {line}" for line in lines)]

    return st.one_of(
        st.builds(lambda test, lines: under(f"if {test}:", lines), _flag, inner),
        st.builds(lambda test, one, two: [*under(f"if {test}:", one), *under("else:", two)], _flag, inner, inner),
        st.builds(lambda n, lines: under(f"for i in range({n}):", lines), st.integers(0, 4), inner),
        st.builds(lambda test, lines: under("for i in range(3):", [*lines, f"if {test}:", "    break"]), _flag, inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda blocks: [line for block in blocks for line in block]),
    )


_simple = st.one_of(
    st.builds(lambda name, value: [f"{name} = {value}"], st.sampled_from(NAMES[:2]), _value),
    st.builds(lambda value: [f"a += {value}"], _number),
    st.builds(lambda value: [f"seen.append({value})"], _number),
    st.builds(lambda call: [f"shot = {call}"], _call),
    st.just(["left = await ctx.budget()", "if left.attempts < 1:", "    return"]),
    st.sampled_from((["pass"], ["return"])),
)


def programs() -> st.SearchStrategy[str]:
    """Programs that are in the language; some fault, none is hostile."""
    head = ["async def strategy(ctx):", "    shot = await ctx.shot()", "    a = 1", "    b = 2", "    seen = [1]"]
    blocks = st.recursive(_simple, _lines, max_leaves=12)
    return blocks.map(lambda lines: "\n".join([*head, *(f"    {line}" for line in lines)]) + "\n")
