"""From a request's operation to its result: documents that are parsed, measured and validated once, then executed."""
