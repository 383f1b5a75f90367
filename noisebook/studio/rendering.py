"""A result as HTML, with its files on a shelf.

The HTML goes into the element `noisebook-result` (templates/studio.js), which shows it apart from the styles of the
page around it.
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

from noisebook.audio.formats import encode
from noisebook.audio.waveform import Waveform
from noisebook.report.results import ARROWS, number, rate
from noisebook.report.web import asset_of, environment_of, matched_gains, outline
from noisebook.studio.jobs import Result, Track
from noisebook.studio.pictures import spectrograms
from noisebook.studio.shelf import Shelf
from noisebook.verification.sounds import MetricRow

__all__ = ["exhibit", "head", "message"]

Json = dict[str, Any]
_SHARED = ("base.css", "page.css", "synced.js", "transport.js")  # of noisebook.report
_NAMES = {"similarity": "similarity of log-mels", "mel_db_mae": "log-mel error", "mel_correlation": "mel correlation",
          "log_spectral_distance_db": "log spectral distance", "multi_resolution_stft": "multi-resolution STFT",
          "loudness_difference_lu": "loudness difference", "zimtohrli": "Zimtohrli"}  # fmt: skip


def exhibit(result: Result, shelf: Shelf, owner: str) -> str:
    """The result as HTML; its sounds, streams and picture are put on the shelf."""
    sounds = ([result.original] if result.original else []) + [track.made.sound for track in result.tracks]
    stems = _stems(result)
    held: dict[str, bytes] = {f"{stem}.wav": _wav(sound) for stem, sound in zip(stems, sounds, strict=True)}
    own_stems = stems[len(sounds) - len(result.tracks) :]
    for stem, track in zip(own_stems, result.tracks, strict=True):
        if track.made.stream is not None:
            held[f"{stem}.ddcm"] = track.made.stream
    held["spectrograms.png"] = spectrograms(result.original, {track.label: track.made.sound for track in result.tracks})
    folder = f"results/{shelf.put(owner, held)}"
    gains = matched_gains(sounds)
    return _wrapped(
        "result.html.jinja",
        folder=folder,
        sound=_sound_facts(sounds[0]),
        outline=outline(sounds[0]),
        tracks=[
            {"stem": stem, "gain_db": gain, "reference": index == 0 and result.original is not None}
            | _track_facts(None if index < len(sounds) - len(result.tracks) else result.tracks[index - len(sounds)])
            for index, (stem, gain) in enumerate(zip(stems, gains, strict=True))
        ],
        table=_table(result),
        failures=result.failures,
        facts=result.facts,
        query=result.settings.query() if result.settings else None,
    )


def message(sentence: str, *, problem: bool = True) -> str:
    """A sentence in the place of a result: what is wrong, or what to do."""
    return _wrapped("message.html.jinja", sentence=sentence, problem=problem)


def head() -> str:
    """What the page's head needs: the element that shows results, and the players in it."""
    css = "".join(str(_asset(name)) for name in ("base.css", "page.css", "studio.css")).replace(":root", ":host")
    return environment_of("noisebook.studio", _asset).get_template("head.html.jinja").render(css=css)


def _wrapped(template: str, **facts: Any) -> str:
    """In an attribute, since Gradio compares what is inside of elements and misses templates."""
    content = environment_of("noisebook.studio", _asset).get_template(template).render(number=number, **facts)
    return str(Markup('<noisebook-result content="{}"></noisebook-result>').format(content))


def _stems(result: Result) -> list[str]:
    """Names of the sounds' files, without suffix: the original's, and the tracks' with what was done."""
    slugs = [re.sub(r"[^A-Za-z0-9.]+", "-", track.label).strip("-")[:32] or "result" for track in result.tracks]
    own = [f"{result.name}-{index}-{slug}" for index, slug in enumerate(slugs, 1)]
    own = own if len(own) > 1 else [f"{result.name}-{slugs[0]}"]
    return ([f"{result.name}-original"] if result.original else []) + own


def _wav(sound: Waveform) -> bytes:
    """16 bits: what the command line writes, without the delay or the colour of a lossy format."""
    return bytes(encode(sound, "WAV", "PCM_16")[0])


def _sound_facts(sound: Waveform) -> Json:
    channels = {1: "mono", 2: "stereo"}[sound.channels]
    told = f"{sound.duration:.2f} s · {sound.sample_rate / 1000:g} kHz · {channels}"
    return {"told": told, "seconds": sound.duration, "rate": sound.sample_rate}


def _track_facts(track: Track | None) -> Json:
    """Of a button and a row of downloads; None is the original."""
    if track is None:
        return {"label": "Original", "about": "", "stream": False, "told": (), "related": None}
    stream, about = track.made.stream, "no bits"
    if stream is not None:
        about = f"{len(stream)} bytes · {rate(track.bitrate)} bit/s · 1:{number(track.ratio)} of 16-bit PCM"
    return {
        "label": track.label,
        "about": about,
        "stream": stream is not None,
        "bytes": len(stream or b""),
        "told": track.made.told,
        "related": track.verification and track.verification.verdict,
        "silent": track.verification is not None and not track.verification.metrics,
        "seconds": track.seconds,
    }


def _table(result: Result) -> Json | None:
    """A row for each metric: a value for each track, and for each control."""
    judged = [track for track in result.tracks if track.verification is not None and track.verification.metrics]
    if not judged:
        return None
    rows = [track.verification.metrics for track in judged if track.verification]
    values = [{row.name: row.value for row in metrics} for metrics in rows]
    return {
        "tracks": [track.label for track in judged],
        "controls": list(rows[0][0].controls),
        "rows": [
            _row(row) | {"values": [one[row.name] for one in values], "controls": list(row.controls.values())}
            for row in rows[0]
        ],
    }


def _row(row: MetricRow) -> Json:
    return {"name": _NAMES.get(row.name, row.name), "unit": row.unit, "arrow": ARROWS[row.direction]}


def _asset(name: str) -> Markup:
    return asset_of("noisebook.report" if name in _SHARED else "noisebook.studio", name)
