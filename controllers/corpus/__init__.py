"""The corpus: the durable, append-only record of attempts, decisions and episodes, and the blobs they name.

`SqliteCorpus` keeps one in a file, `MemoryCorpus` in this process. `export_dataset` and `import_dataset` carry one to
and from a folder of HF `datasets`.
"""

from __future__ import annotations

from controllers.corpus.dataset import export_dataset, import_dataset
from controllers.corpus.journal import SqliteCorpus
from controllers.corpus.memory import MemoryCorpus

__all__ = ["MemoryCorpus", "SqliteCorpus", "export_dataset", "import_dataset"]
