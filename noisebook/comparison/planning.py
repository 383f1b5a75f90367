"""From what a user asks for to a run, with everything checked that can be checked before the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from noisebook.comparison.inputs import load
from noisebook.comparison.judging import metric_names
from noisebook.comparison.methods import Method, choose
from noisebook.comparison.runs import Run
from noisebook.comparison.store import Store
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["DEFAULT_METHODS", "planned"]

DEFAULT_METHODS = ("ceiling", "ddcm", "codec", "control")


def planned(
    sources: Sequence[Path],
    out: Path,
    *,
    catalogue: Sequence[Method],
    load_backend: Callable[[], Backend],
    methods: Sequence[str] = DEFAULT_METHODS,
    metrics: Sequence[str] | None = None,
    limit_seconds: float = 30.0,
    mono: bool = False,
    verdicts: bool = True,
    dtype: str = "float32",
    timeout: float = 600.0,
    force: bool = False,
) -> Run:
    """A run of the methods that can run here; those that cannot are in its `skipped`.

    Args:
        sources: files and folders.
        out: folder of the results.
        catalogue: all methods.
        load_backend: the model, asked for once and only where a method needs one.
        methods: ids, patterns of ids, series, families or `all`.
        metrics: names, or `all`; the usual ones if None.
        limit_seconds: of the beginning of each input.
        mono: give every method the mean of two channels.
        verdicts, dtype, timeout, force: of `Run`.

    Raises:
        AudioError: an input that cannot be read.
        ConfigError: an unknown method or metric, no method that can run, or a folder that holds something else.
        MissingExtra: a metric that is asked for and not installed.
    """
    chosen = choose(catalogue, methods)
    metric_names(metrics)  # the errors, before anything is read
    inputs = load(sources, limit_seconds=limit_seconds, beside=out, mono=mono)
    names = metric_names(metrics, stereo=any(one.sound.channels == 2 for one in inputs))
    if len(inputs) == 1:
        chosen = tuple(replace(m, missing="needs two inputs or more") if m.needs_other else m for m in chosen)
    skipped = [method for method in chosen if method.missing]
    able = [method for method in chosen if not method.missing]
    if not able:
        reasons = "; ".join(f"{method.id}: {method.missing}" for method in skipped)
        raise ConfigError(f"none of the methods can run here: {reasons}")
    return Run(
        Store(out), inputs, able, names, load_backend, skipped=skipped, verdicts=verdicts, dtype=dtype,
        timeout=timeout, force=force,
    )  # fmt: skip
