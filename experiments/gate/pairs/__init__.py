"""Anyone's paired results: the file, its units, a verdict per experiment."""
