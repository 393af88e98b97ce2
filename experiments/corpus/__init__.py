"""The verbs of `corpus_run`: looking into a corpus, carrying it, packing it into one file, counting what passes."""
