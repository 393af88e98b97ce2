"""Level two: the settings of searches are searched, on recorded trees, and confirmed live under the judge."""
