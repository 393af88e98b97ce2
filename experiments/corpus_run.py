"""Look into a corpus, bring recordings into it, and carry it about.

    python -m experiments.corpus_run ls runs/corpus.db
    python -m experiments.corpus_run show runs/corpus.db 5f0c --trace
    python -m experiments.corpus_run import --from tau results.json --corpus runs/tau.db
    python -m experiments.corpus_run passk runs/tau.db
    python -m experiments.corpus_run export runs/corpus.db runs/corpus-dataset
    python -m experiments.corpus_run import runs/corpus-dataset runs/other.db
    python -m experiments.corpus_run pack runs/corpus.db corpus.zst --licence "MIT, (c) 2026 Me"
    python -m experiments.corpus_run unpack corpus.zst runs/other.db
    python -m experiments.corpus_run seal runs/corpus.db

`ls` prints counts, `show` one record by its id or the start of it. `import` takes a folder that `export` made, or with
`--from` what something else recorded (docs/importing.md). `passk` prints pass^k and random@k of fresh attempts. `pack`
makes one file with the verdicts in it, `unpack` a corpus of it, or of a recording that ships (`unpack humaneval PATH`).
`seal` writes what is new to columnar segments beside the corpus, which replay reads; `--verify` checks all their bytes,
too. PATH may be left out: it is runs/corpus.db.

    runs/corpus.db  1.2 MB on disk
    records         attempts 1,200, decisions 3,600, episodes 400
    outcomes        ok 1,150, timeout 50
    blobs           2,400, 6.1 MB before compression
    dev             random@3 100
    search          random@3 200, refine@3 100
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Final, cast, get_args

import typer

from experiments.cli import exits, new_app, start
from signatures.errors import UsageError
from signatures.records import Split

DEFAULT: Final = Path("runs/corpus.db")
OWN: Final = "tiller"
"""The format that `export` writes."""

PathArgument = Annotated[Path, typer.Argument(metavar="PATH", help="The corpus.")]
FirstArgument = Annotated[str, typer.Argument(metavar="PATH", help=f"The corpus; left out, it is {DEFAULT}.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
app = new_app(help="Look into a corpus, bring recordings into it, and carry it about.")


@app.command("ls")
def ls_command(path: PathArgument = DEFAULT) -> None:
    """Count records, episodes by split and condition, outcomes and bytes."""
    from experiments.corpus.looking import counts

    with exits():
        for line in counts(path):
            print(line)


@app.command("show")
def show_command(
    first: FirstArgument,
    second: Annotated[str | None, typer.Argument(metavar="ID", help="A record's id, or the start of it.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print what happened in the attempt, too.")] = False,
) -> None:
    """Print one record as JSON."""
    from experiments.corpus.looking import show

    with exits():
        path, id = _path_and(first, second, "a record's id")
        for line in asyncio.run(show(path, id, trace=trace)):
            print(line)


@app.command("export")
def export_command(
    first: FirstArgument,
    second: Annotated[str | None, typer.Argument(metavar="DEST", help="The folder to make.")] = None,
) -> None:
    """Write a corpus to a new folder of datasets."""
    from experiments.corpus.carrying import export_corpus

    with exits():
        path, folder = _path_and(first, second, "the folder to make")
        asyncio.run(export_corpus(path, Path(folder)))
        print(f"{path} is exported to {folder}")


@app.command("seal")
def seal_command(
    path: PathArgument = DEFAULT,
    verify: Annotated[bool, typer.Option("--verify", help="Check every sealed byte, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write what is new to sealed columnar segments beside the corpus."""
    from experiments.corpus.carrying import seal_corpus, sealed_line

    with exits():
        sealed = asyncio.run(seal_corpus(path, verify=verify))
        print(json.dumps(sealed) if as_json else sealed_line(sealed))


@app.command("import")
def import_command(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A file or folder; of `tiller` what `export` made.")],
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help=f"The corpus; left out, it is {DEFAULT}.")] = None,
    format: Annotated[str, typer.Option("--from", help="Format: tiller, inspect, tau, otel, ...")] = OWN,
    corpus: Annotated[Path | None, typer.Option(help="The corpus, by name.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="The benchmark's id, instead of the source's own name.")] = None,
    model: Annotated[str | None, typer.Option(help="The worker's model, where the source does not say.")] = None,
    score: Annotated[str | None, typer.Option(help="Which of several scores is the verdict; else the first.")] = None,
) -> None:
    """Append an export, or what something else recorded, to a corpus, which is made where there is none."""
    with exits():
        into = _one_corpus(path, corpus)
        if format == OWN:
            if any((benchmark, model, score)):
                raise UsageError("--benchmark, --model and --score are for recordings of another format (--from)")
            from experiments.corpus.carrying import import_corpus

            asyncio.run(import_corpus(source, into))
            print(f"{source} is in {into}")
            return
        from experiments.importing import Given
        from experiments.importing.appending import bring
        from experiments.importing.catalogue import load_format

        brought = asyncio.run(bring(load_format(format), source, into, Given(benchmark, model, score)))
        print(brought.line(source, into))
        if lacks := brought.lacks():
            print(lacks)


@app.command("passk")
def passk_command(
    path: PathArgument = DEFAULT,
    k: Annotated[int | None, typer.Option(min=1, help="The largest k; else as far as all tasks reach.")] = None,
    mark: Annotated[float, typer.Option(help="The score from which on an attempt passes.")] = 1.0,
    judge: Annotated[str | None, typer.Option(help="Whose verdicts; else those that were imported.")] = None,
    split: Annotated[str, typer.Option(help="search or dev.")] = "search",
    as_json: JsonOption = False,
) -> None:
    """Print pass^k and random@k of the recorded fresh attempts, and what the record cannot answer."""
    with exits():
        if split not in get_args(Split):
            raise UsageError(f"unknown split {split!r}; there is {', '.join(get_args(Split))}")
        from experiments.corpus.passk import pass_tables, shown

        tables = asyncio.run(pass_tables(path, judge=judge, k=k, mark=mark, split=cast("Split", split)))
        if as_json:
            print(json.dumps([table.json() for table in tables]))
            return
        for line in (line for table in tables for line in shown(table)):
            print(line)


@app.command("pack")
def pack_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The corpus.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make.")],
    licence: Annotated[str, typer.Option(help="Under which licence its content is, and whose it is.")],
    model_file: Annotated[str, typer.Option(help="Name of the recorded model's file.")] = "",
    model_sha256: Annotated[str, typer.Option(help="That file's SHA-256.")] = "",
) -> None:
    """Write a corpus and the verdicts beside it to one file."""
    with exits():
        from experiments.corpus.looking import listed, size
        from experiments.corpus.pack import Label, pack

        label = Label(licence=licence, model_file=model_file, model_sha256=model_sha256)
        packed = asyncio.run(pack(path, file, label))
        print(f"{path} is packed in {file}: {listed(dict(sorted(packed.items())))}; {size(file.stat().st_size)}")


@app.command("unpack")
def unpack_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file that `pack` made, or the benchmark of a shipped recording.")
    ],
    path: PathArgument = DEFAULT,
) -> None:
    """Append a packed file to a corpus, and its verdicts to the ledger beside it."""
    with exits():
        from experiments.corpus.pack import unpack
        from experiments.recordings.shipped import corpus_of

        named = len(file.parts) == 1 and not file.suffix and not file.exists()
        label = asyncio.run(unpack(corpus_of(str(file)) if named else file, path))
        model = f"; model {label.model_file} {label.model_sha256}".rstrip() if label.model_file else ""
        print(f"{file} is in {path}; licence: {label.licence}{model}")


def _one_corpus(path: Path | None, corpus: Path | None) -> Path:
    if path is not None and corpus is not None and path != corpus:
        raise UsageError(f"two corpora are named, {path} and {corpus}: name one")
    return path or corpus or DEFAULT


def _path_and(first: str, second: str | None, wanted: str) -> tuple[Path, str]:
    """A corpus and one word more, where the corpus may be left out. Raises UsageError."""
    if second is not None:
        return Path(first), second
    if Path(first).is_file():
        raise UsageError(f"after the corpus {first}, name {wanted}")
    return DEFAULT, first


def main() -> None:
    """The console script."""
    start(app)


if __name__ == "__main__":
    main()
