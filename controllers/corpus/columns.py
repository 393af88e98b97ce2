"""Records as columns: the one layout of attempts, decisions and episodes in Arrow tables and Parquet segments.

column           meaning (null: not measured, or does not apply)
n                the record's row number in the journal: one ascending sequence over all three tables; null in a
                 table that was made from records without numbers
worker           the worker's fingerprint as canonical JSON
steer_digest     digest of the steer's exact text; `steer_chars` is its length
turns .. wall_s  the worker's own cost; what making the steer cost is in the episode's `spent_...`
value.<o>        raw value of the checker of objective <o>, in its unit; null also where it could not say
passed.<o>       its pass flag
steer.tier       the worker tier that the steer gave; steer.tools the tools it granted, as a JSON list
probabilities    of our sampler, aligned with `legal`
feature.<f>      observation feature <f>; null where it was not observed
failed           infrastructure ended the episode: it is censored, not scored

The other columns are the record's fields of that name. Text that repeats is dictionary-encoded. Columns `value.`,
`passed.`, `steer.` and `feature.` are there as far as records have them, sorted; `united` puts tables with different
ones together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from signatures.digest import canonical_json
from signatures.errors import UsageError
from signatures.records import Attempt, Decision, Episode

if TYPE_CHECKING:
    import pyarrow as pa

    from controllers.corpus.schema import AnyRecord

Kind = Literal["attempts", "decisions", "episodes"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LAYOUT: Final = 1
"""Version of what stands below: a segment of another one is refused, and sealed again from the journal."""

Type = Literal["text", "word", "int", "float", "flag", "texts", "floats"]
"""`word` is text that repeats."""


class Column(NamedTuple):
    """A column that every table of its kind has, and how it is read from a record."""

    name: str
    type: Type
    of: Callable[[object], object]


def _fields(type: Type, *names: str, prefix: str = "", path: str = "") -> tuple[Column, ...]:
    """Columns that are a record's fields, or fields of its part at `path`."""
    return tuple(Column(f"{prefix}{name}", type, attrgetter(f"{path}{name}")) for name in names)


def _worker(record: object) -> str:
    return canonical_json(attrgetter("worker")(record))


def _steer_chars(record: object) -> int:
    return len(attrgetter("steer.text")(record))


def _probabilities(record: object) -> list[float | None]:
    probabilities = attrgetter("probabilities")(record)
    return [probabilities.get(action) for action in attrgetter("legal")(record)]


def _failed(record: object) -> bool:
    return attrgetter("failure")(record) is not None


FIXED: Final[Mapping[Kind, tuple[Column, ...]]] = MappingProxyType(
    {
        "attempts": (
            *_fields("text", "id", "episode_id"),
            *_fields("int", "round", "index"),
            *_fields("text", "parent_id"),
            *_fields("word", "task_digest", "benchmark"),
            Column("worker", "word", _worker),
            *_fields("int", "repeat"),
            Column("steer_kind", "word", attrgetter("steer.kind")),
            Column("action", "word", attrgetter("steer.action")),
            Column("steer_digest", "word", attrgetter("steer.text_digest")),
            Column("steer_chars", "int", _steer_chars),
            *_fields("word", "outcome"),
            *_fields("int", "turns", "tokens_in", "tokens_out", "tokens_cached", path="cost."),
            *_fields("float", "usd", "wall_s", path="cost."),
        ),
        "decisions": (
            *_fields("text", "id", "episode_id"),
            *_fields("int", "step"),
            *_fields("word", "policy", "action"),
            *_fields("float", "propensity"),
            *_fields("word", "tier", "policy_digest"),
            Column("legal", "texts", attrgetter("legal")),
            Column("probabilities", "floats", _probabilities),
        ),
        "episodes": (
            *_fields("text", "id"),
            *_fields("word", "condition", "candidate"),
            *_fields("int", "seed"),
            *_fields("word", "split", "benchmark", "task_digest"),
            Column("worker", "word", _worker),
            *_fields("text", "selected_id"),
            Column("failed", "flag", _failed),
            Column("decisions", "texts", attrgetter("decision_ids")),
            Column("attempts", "texts", attrgetter("attempt_ids")),
            *_fields("int", "attempts", "turns", prefix="granted_", path="granted."),
            *_fields("int", "attempts", "turns", "tokens", prefix="spent_", path="spent."),
            *_fields("float", "usd", prefix="spent_", path="spent."),
        ),
    }
)
WIDE: Final[Mapping[Kind, Mapping[str, Type]]] = MappingProxyType(
    {
        "attempts": MappingProxyType({"value.": "float", "passed.": "flag", "steer.": "word"}),
        "decisions": MappingProxyType({"feature.": "float"}),
        "episodes": MappingProxyType({}),
    }
)
"""Beginnings of the names of columns that a table has as far as its records do."""


def table_of(kind: Kind, records: Sequence[AnyRecord], *, numbers: Sequence[int] | None = None) -> pa.Table:
    """The records, all of one kind, as a table with a row each; `numbers` are their journal rows.

    Raises UsageError where a number does not fit 64 bits.
    """
    import pyarrow as pa

    columns: dict[str, tuple[Type, Sequence[object]]] = {"n": ("int", numbers or [None] * len(records))}
    columns |= {column.name: (column.type, [column.of(record) for record in records]) for column in FIXED[kind]}
    columns |= _wide(kind, records)
    try:
        return pa.table({name: pa.array(values, arrow_type(type)) for name, (type, values) in columns.items()})
    except (OverflowError, pa.ArrowInvalid) as error:
        raise UsageError(f"{kind}: a value does not fit its column: {error}") from error


def type_of(kind: Kind, name: str) -> Type:
    """The type of a column. Raises UsageError for a name that no table of this kind can have."""
    if name == "n":
        return "int"
    for column in FIXED[kind]:
        if column.name == name:
            return column.type
    for prefix, type in WIDE[kind].items():
        if name.startswith(prefix):
            return type
    known = ", ".join(["n", *(column.name for column in FIXED[kind]), *(f"{prefix}<name>" for prefix in WIDE[kind])])
    raise UsageError(f"{kind} have no column {name!r}; columns: {known}")


def arrow_type(type: Type) -> pa.DataType:
    """The Arrow type of a column of this type."""
    import pyarrow as pa

    match type:
        case "text":
            return pa.string()
        case "word":
            return pa.dictionary(pa.int32(), pa.string())
        case "int":
            return pa.int64()
        case "float":
            return pa.float64()
        case "flag":
            return pa.bool_()
        case "texts":
            return pa.list_(pa.string())
        case "floats":
            return pa.list_(pa.float64())


def columns_of(kind: Kind, present: Iterable[str] = ()) -> list[str]:
    """The order of columns: `n`, the fixed ones, then the wide ones among `present`, sorted."""
    fixed = ["n", *(column.name for column in FIXED[kind])]
    return [*fixed, *sorted({*present} - {*fixed})]


def united(kind: Kind, tables: Sequence[pa.Table], columns: Sequence[str] | None = None) -> pa.Table:
    """The tables as one, with the columns asked for, or all that one of them has; what a table lacks is null.

    Chunks of a dictionary-encoded column share one dictionary, so that codes are comparable. Raises UsageError for a
    column that no table of this kind can have.
    """
    import pyarrow as pa

    names = columns_of(kind, (n for table in tables for n in table.column_names)) if columns is None else [*columns]
    schema = pa.schema([(name, arrow_type(type_of(kind, name))) for name in names])
    if not tables:
        return schema.empty_table()
    return pa.concat_tables([_widened(table, schema) for table in tables]).unify_dictionaries()


def _widened(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly the columns of `schema`, null where it has none of that name."""
    import pyarrow as pa

    present = {*table.column_names}
    columns = [table[field.name] if field.name in present else pa.nulls(table.num_rows, field.type) for field in schema]
    return pa.table(columns, schema=schema)


def _wide(kind: Kind, records: Sequence[AnyRecord]) -> dict[str, tuple[Type, list[object]]]:
    """The wide columns of these records, sorted by name."""
    found: dict[str, list[object]] = {}
    for row, record in enumerate(records):
        for name, value in _wide_values(record):
            if name not in found:
                found[name] = [None] * len(records)
            found[name][row] = value
    return {name: (type_of(kind, name), found[name]) for name in sorted(found)}


def _wide_values(record: AnyRecord) -> Iterable[tuple[str, object]]:
    match record:
        case Attempt():
            for check in reversed(record.checks):  # of two for one objective the first counts
                yield f"value.{check.objective}", check.value
                yield f"passed.{check.objective}", check.passed
            if record.steer.tier:
                yield "steer.tier", record.steer.tier
            if record.steer.tools is not None:
                yield "steer.tools", canonical_json(list(record.steer.tools))
        case Decision():
            yield from ((f"feature.{name}", value) for name, value in record.features.items())
        case Episode():
            return
