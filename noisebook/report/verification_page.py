"""A verification as one web page: the verdict, both sounds in step, and every metric beside its controls."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from noisebook._version import __version__
from noisebook.audio.html import sound_uri
from noisebook.audio.io import write_bytes_atomic
from noisebook.audio.waveform import Waveform
from noisebook.metrics import METRICS
from noisebook.report.results import ARROWS, number
from noisebook.report.web import matched_gains, outline, render

__all__ = ["write_verification"]

Json = dict[str, Any]


def write_verification(
    found: Json, reference: Waveform, estimate: Waveform, path: Path, *, names: tuple[str, str], overwrite: bool = False
) -> None:
    """Write the page, whole or not at all; it loads nothing.

    Args:
        found: the dictionary of a `Verification`.
        reference, estimate: what was compared, of any rate; of the later one the beginning is left out, so that both
            are in step.
        names: of the two.

    Raises:
        AudioError: a page that cannot be written, or that exists without `overwrite`.
    """
    lag = found["alignment"]["lag"] / found["alignment"]["sample_rate"]
    sounds = (_from(reference, max(0.0, -lag)), _from(estimate, max(0.0, lag)))
    page = render(
        "verification.html.jinja",
        noisebook=__version__, names=names, found=found, number=number, rows=_rows(found),
        columns=[*found["ceilings"], *(found["metrics"][0]["controls"] if found["metrics"] else ())],
        tracks=_tracks(sounds, names), seconds=sounds[0].duration, rate=max(sound.sample_rate for sound in sounds),
        outline=outline(sounds[0]),
    )  # fmt: skip
    write_bytes_atomic(path, page.encode("utf-8"), overwrite=overwrite)


def _from(sound: Waveform, seconds: float) -> Waveform:
    return Waveform(sound.samples[:, round(seconds * sound.sample_rate) :], sound.sample_rate)


def _rows(found: Json) -> list[Json]:
    """The metrics with what pages call them, and the composite scores above them."""
    labels = {metric.name: metric.label for metric in METRICS}
    rows = [
        {"name": name, "label": f"Composite score: {name}", "unit": "", "direction": "higher", "value": score["score"],
         "others": score["ceilings"] | score["controls"]}
        for name, score in found["composites"].items()
    ]  # fmt: skip
    for row in found["metrics"]:
        ceilings = {name: values[row["name"]] for name, values in found["ceilings"].items()}
        label = labels.get(row["name"], row["name"].capitalize())
        rows.append(row | {"label": label, "others": ceilings | row["controls"]})
    return [row | {"arrow": ARROWS[row["direction"]]} for row in rows]


def _tracks(sounds: tuple[Waveform, Waveform], names: tuple[str, str]) -> list[Json]:
    kinds, gains = (("reference", "reference"), ("method", "ddcm")), matched_gains(sounds)
    return [
        {"label": name, "group": group, "colour": colour, "rate": "", "generative": False, "uri": sound_uri(sound),
         "gain_db": gain, "gain": f"{gain:+.1f} dB" if not math.isclose(gain, 0, abs_tol=0.05) else ""}
        for sound, name, gain, (group, colour) in zip(sounds, names, gains, kinds, strict=True)
    ]  # fmt: skip
