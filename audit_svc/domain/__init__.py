"""The rules of the archive: what a record, a manifest and a story are. No I/O."""
