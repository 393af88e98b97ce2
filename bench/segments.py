"""Reading sealed segments by column: a million attempts, five columns to numpy, beside small files and the raw disk.

    python bench/segments.py [FOLDER] [ATTEMPTS]

The attempts are made as Arrow tables with the layout of the corpus and written as the sealing writes them, into
segments of 262,144 rows ("compacted"), of all rows ("one") and of 4,096 rows ("small"). `five numbers` are five columns
of numbers, `five mixed` has two of text, which come as codes of a dictionary. `raw` is numpy.fromfile of as many bytes
as the arrays have: the physical limit. Files are in the page cache; the figures are the median and the least of 15
reads, in ms, the cases taking turns. Other work on the machine lengthens the median; the JSON line has its load.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from controllers.corpus.columns import FIXED, arrow_type, columns_of
from controllers.corpus.manifest import MANIFEST, Mark
from controllers.corpus.sealing import STANDARD
from controllers.corpus.segment_file import write_segment
from controllers.corpus.segments import Segments
from controllers.jsonlog import JsonLog

if TYPE_CHECKING:
    import pyarrow as pa

ATTEMPTS = 1_000_000
READS = 15
SMALL_ROWS = 4_096
FIVE = {
    "five numbers": ("round", "turns", "usd", "value.correct", "passed.correct"),
    "five mixed": ("task_digest", "action", "turns", "usd", "value.correct"),
}
OBJECTIVES = ("correct", "fast", "secure", "cheap", "clean")


def attempts(count: int) -> pa.Table:
    """`count` attempts in episodes of three on 500 tasks, with the corpus's own columns and five objectives."""
    import pyarrow as pa

    draw = np.random.default_rng(0)
    row = np.arange(count)
    orphan: npt.NDArray[np.object_] = np.full(count, None, object)
    digests = np.char.mod("%024x", draw.integers(0, 2**62, count + count // 3 + 1).astype(object))
    values: dict[str, object] = {
        "n": 3 * row + 1,
        "id": digests[:count],
        "episode_id": digests[count:][row // 3],
        "round": row % 3,
        "index": row % 3,
        "parent_id": np.where(row % 3 == 0, orphan, np.roll(digests[:count], 1).astype(object)),
        "task_digest": np.char.mod("%024d", np.arange(500))[row // 3 % 500],
        "action": np.char.mod("action_%d", np.arange(8))[draw.integers(0, 8, count)],
        "turns": draw.integers(1, 13, count),
        "tokens_in": draw.integers(500, 20_000, count),
        "tokens_out": draw.integers(50, 2_000, count),
        "usd": draw.random(count) / 10,
        "wall_s": draw.random(count),
        "steer_chars": draw.integers(0, 400, count),
    }
    constant = {"benchmark": "telecom", "worker": "{}", "steer_kind": "rule", "steer_digest": "0" * 24, "outcome": "ok"}
    values |= {name: np.full(count, text) for name, text in constant.items()}
    values |= {"repeat": np.zeros(count, int), "tokens_cached": np.zeros(count, int)}
    types = {column.name: column.type for column in FIXED["attempts"]} | {"n": "int"}
    for objective in OBJECTIVES:
        values[f"value.{objective}"] = draw.integers(0, 9, count) / 8
        values[f"passed.{objective}"] = draw.random(count) < 0.4
        types |= {f"value.{objective}": "float", f"passed.{objective}": "flag"}
    names = columns_of("attempts", values)
    return pa.table({name: pa.array(values[name]).cast(arrow_type(types[name])) for name in names})


def sealed(folder: Path, table: pa.Table, rows: int) -> Segments:
    """The table in segments of `rows` rows."""
    folder.mkdir()
    with closing(JsonLog(folder / MANIFEST)) as log:
        for first in range(0, table.num_rows, rows):
            log.append(write_segment(folder, "attempts", table.slice(first, rows)).model_dump(mode="json"))
        log.append(Mark(sealed_n=table["n"][-1].as_py()).model_dump(mode="json"))
    return Segments(folder)


def to_numpy(column: pa.ChunkedArray) -> npt.NDArray[np.generic]:
    """A column as one array; of text, the codes."""
    import pyarrow as pa

    whole = column.combine_chunks()
    codes = whole.indices if pa.types.is_dictionary(whole.type) else whole
    array: npt.NDArray[np.generic] = codes.to_numpy(zero_copy_only=False)
    return array


def arrays(segments: Segments, columns: tuple[str, ...]) -> list[npt.NDArray[np.generic]]:
    """What is timed."""
    return [to_numpy(column) for column in segments.table("attempts", columns).itercolumns()]


def main() -> None:
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else ATTEMPTS
    table = attempts(count)
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        sizes = {"compacted": STANDARD.most_rows, "one": count, "small": SMALL_ROWS}
        made = {case: sealed(folder / case, table, rows) for case, rows in sizes.items()}
        for columns_name, columns in FIVE.items():
            raw = b"".join(array.tobytes() for array in arrays(made["one"], columns))
            (folder / columns_name).write_bytes(raw)
        taken: dict[tuple[str, str], list[float]] = {}
        for _ in range(READS):
            for columns_name, columns in FIVE.items():
                for case, segments in made.items():
                    begin = time.perf_counter()
                    arrays(segments, columns)
                    taken.setdefault((case, columns_name), []).append(time.perf_counter() - begin)
                begin = time.perf_counter()
                np.fromfile(folder / columns_name, np.uint8)
                taken.setdefault(("raw", columns_name), []).append(time.perf_counter() - begin)
        stored = {case: [file.stat().st_size for file in (folder / case).glob("*.parquet")] for case in made}
        raw_bytes = {columns_name: (folder / columns_name).stat().st_size for columns_name in FIVE}
    rows = []
    print(f"{'case':>12}{'files':>8}{'MB':>8}" + "".join(f"{name:>18}{'least':>8}" for name in FIVE))
    for case in (*made, "raw"):
        files = stored.get(case, [])
        row: dict[str, str | int | float] = {"case": case, "files": len(files), "bytes": sum(files)}
        for name in FIVE:
            row[name] = round(statistics.median(taken[case, name]) * 1e3, 1)
            row[f"{name}, least"] = round(min(taken[case, name]) * 1e3, 1)
        rows.append(row)
        times = "".join(f"{row[name]:>18,}{row[f'{name}, least']:>8,}" for name in FIVE)
        print(f"{case:>12}{len(files):>8}{sum(files) / 1e6:>8.1f}{times}")
    print(
        json.dumps(
            {
                "bench": "segments",
                "python": sys.version.split()[0],
                "cpus": os.cpu_count(),
                "load": os.getloadavg()[0],
                "attempts": count,
                "raw_bytes": raw_bytes,
                "cases": rows,
            }
        )
    )


if __name__ == "__main__":
    main()
