"""Saved models: the file format, the registry of names that a file may use, and atomic writes."""
