"""Fuzzing: what hostile bytes may do to a parser, as functions of bytes that a fuzzer or a test calls."""
