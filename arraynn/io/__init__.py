"""Files that a model is saved to: the format, the registry of names that a file may use, atomic writes."""
