"""Integers to bytes, exactly: no audio, no floating point, no torch; `docs/format.md` is the specification."""
