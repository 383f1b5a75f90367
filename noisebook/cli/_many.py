"""Several inputs in one command, each with an output of its own in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from noisebook.cli import _files
from noisebook.cli._shared import error_values, report
from noisebook.errors import ConfigError, Error

__all__ = ["each", "pairs"]

TargetOf = Callable[..., str]  # `_files.stream_target` or `sound_target`
Work = Callable[[str, str], tuple[Mapping[str, Any], str]]


def pairs(
    paths: Sequence[str], option: str | None, target_of: TargetOf, suffix: str, *, force: bool
) -> list[tuple[str, str]]:
    """Inputs with their outputs, all checked: of `IN [OUT]`, of `IN... -o DIR`, or of `IN... DIR` where DIR is there.

    Raises:
        ConfigError: outputs that cannot be, or two inputs that ask for one.
        UsageError: several inputs without a folder.
    """
    if option is None and len(paths) > 1 and os.path.isdir(paths[-1]):
        *paths, option = paths
    if option is not None and len(paths) == 2 and not os.path.exists(paths[1]) and not os.path.isdir(option):
        message = "give the output once: as the second argument or with -o"
        raise click.UsageError(message, click.get_current_context())
    if option is not None and (len(paths) > 1 or os.path.isdir(option) or option.endswith(("/", os.sep))):
        return _in_folder(paths, option, target_of, suffix, force=force)
    if len(paths) > 2:
        raise click.UsageError("several inputs need a folder for their results: -o DIR", click.get_current_context())
    source, argument = paths[0], paths[1] if len(paths) == 2 else None
    return [(source, target_of(source, argument, option, force=force))]


def each(files: Sequence[tuple[str, str]], work: Work, options: Mapping[str, Any]) -> int:
    """Do one after the other and report each; of several, one that fails does not end the rest. The exit status."""
    told = {"as_json": options["as_json"], "quiet": options["quiet"]}
    if len(files) == 1:
        values, text = work(*files[0])
        report(values, text, **told, err=values["output"] == _files.STANDARD)
        return 0
    rows: list[Mapping[str, Any]] = []
    for source, target in files:
        try:
            values, text = work(source, target)
        except Error as error:
            click.echo(f"noisebook: {' '.join(str(error).split())}", err=True)
            rows.append({"input": source, "error": error_values(error)})
            continue
        rows.append({"input": source, **values})
        if not options["as_json"]:
            report(values, text, **told)
    if options["as_json"]:
        report({"files": rows}, "", **told)
    return int(any("error" in row for row in rows))


def _in_folder(
    paths: Sequence[str], folder: str, target_of: TargetOf, suffix: str, *, force: bool
) -> list[tuple[str, str]]:
    if _files.STANDARD in (*paths, folder):
        raise ConfigError(f"standard input and output ({_files.STANDARD}) go alone, and not with several files")
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ConfigError(f"{folder} is a file; several inputs need a folder: -o DIR")
    missing = not os.path.exists(folder)
    parent = os.path.dirname(folder.rstrip("/" + os.sep)) or "."
    if missing and not os.path.isdir(parent):
        raise ConfigError(f"there is no folder {parent}; make it first")
    for path in paths:
        _files.check_source(path)
    targets: dict[str, str] = {}
    for path in paths:
        target = str(Path(folder) / Path(path).with_suffix(suffix).name)
        if target in targets:
            raise ConfigError(f"{targets[target]} and {path} would both become {target}; name one of them anew")
        targets[target] = path
    if missing:  # after what could be wrong with the inputs: a folder for nothing helps nobody
        os.mkdir(folder)
    return [(path, target_of(path, target, None, force=force)) for target, path in targets.items()]
