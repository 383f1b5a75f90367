"""What pages are made of: templates, and sounds of one loudness in a form that a browser plays, inside the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from noisebook.audio.level import loudness_lufs, peak_db
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from noisebook.report.results import COLOURS

__all__ = ["MAX_GAIN_DB", "asset_of", "colour_css", "environment_of", "inside", "matched_gains", "outline", "render"]

MAX_GAIN_DB = 20.0  # a nearly silent sound is not blown up further
_PACKAGE = "noisebook.report"


def render(template: str, **facts: object) -> str:
    """One file of `templates/`, filled in. All text is escaped; a name that the template asks for and was not given
    raises. `asset(name)` puts in a style sheet or script of the same folder, as it is."""
    return environment_of(_PACKAGE, _asset).get_template(template).render(**facts)


@cache
def environment_of(package: str, asset: Callable[[str], Markup]) -> Environment:
    """The templates of a package, strict about names and escaping all text, which can call `asset`."""
    loader = PackageLoader(package, "templates")
    environment = Environment(
        autoescape=True, loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"asset": asset, "colour_css": colour_css, "colours": COLOURS}
    return environment


def asset_of(package: str, name: str) -> Markup:
    """A style sheet or script of a package's `templates/`, as it is."""
    text = files(package).joinpath("templates", name).read_text(encoding="utf-8")
    assert not re.search(r"</(script|style)", text, re.IGNORECASE), f"{name} would end its own element"
    return Markup(text)


_asset = partial(asset_of, _PACKAGE)


def colour_css() -> Markup:
    """The colours of `results.COLOURS` as variables of a style sheet, for light and dark paper."""
    light, dark = (" ".join(f"--{name}: {pair[scheme]};" for name, pair in COLOURS.items()) for scheme in (0, 1))
    return Markup(f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n")


def matched_gains(sounds: Sequence[Waveform]) -> list[float]:
    """Gains in dB that give every sound the loudness of the first (ITU-R BS.1770-4), at most `MAX_GAIN_DB` up or down.

    Where a sound would clip, all are turned down by the same amount. Silence keeps its level.
    """
    loudness = [loudness_lufs(sound) for sound in sounds]
    raw = [loudness[0] - level if np.isfinite(loudness[0] - level) else 0.0 for level in loudness]
    gains = [float(np.clip(gain, -MAX_GAIN_DB, MAX_GAIN_DB)) for gain in raw]
    over = max(peak_db(sound.samples) + gain for sound, gain in zip(sounds, gains, strict=True))
    return [round(gain - max(over, 0.0), 2) + 0.0 for gain in gains]  # + 0.0: no negative zero


def inside(folder: Path, name: str) -> Path:
    """The file of that relative name in a folder.

    Raises:
        ConfigError: the name leads out of the folder, or to nothing.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        problem = f"which is not inside {folder}: name files of that folder only"
    elif not path.is_file():
        problem = f"and {folder} has none: keep the folder whole, or compare again"
    else:
        return path
    raise ConfigError(f"the results name the file {name}, {problem}")


def outline(sound: Waveform, *, columns: int = 240) -> str:
    """A sound's envelope as an SVG path in a box of `columns` by 100, the middle at 50."""
    peaks = [part.max() for part in np.array_split(np.abs(sound.samples).max(axis=0), columns) if part.size]
    scale = 48 / max(max(peaks), 1e-9)
    step = columns / len(peaks)
    bars = (
        f"M{(i + 0.5) * step:.1f} {50 - h:.1f}V{50 + h:.1f}" for i, h in enumerate(max(p * scale, 0.5) for p in peaks)
    )
    return "".join(bars)
