"""A result as HTML, with its files in a store.

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
from noisebook.studio.store import ResultStore

__all__ = ["head", "message", "render_result", "store_picture", "store_sounds"]

Json = dict[str, Any]
_SHARED = ("base.css", "page.css", "synced.js", "transport.js")  # of noisebook.report
_NAMES = {"similarity": "similarity of log-mels", "mel_db_mae": "log-mel error", "mel_correlation": "mel correlation",
          "log_spectral_distance_db": "log spectral distance", "multi_resolution_stft": "multi-resolution STFT",
          "loudness_difference_lu": "loudness difference", "zimtohrli": "Zimtohrli"}  # fmt: skip


def store_sounds(result: Result, store: ResultStore, owner: str) -> str:
    """Keep the result's sounds and streams, and give their token."""
    held: dict[str, bytes] = {}
    for stem, sound, track in _sounds(result):
        # 16 bits: what the command line writes, without the delay or the colour of a lossy format.
        held[f"{stem}.wav"] = bytes(encode(sound, "WAV", "PCM_16")[0])
        if track is not None and track.stream is not None:
            held[f"{stem}.ddcm"] = track.stream
    return store.put(owner, held)


def store_picture(result: Result, store: ResultStore, token: str) -> None:
    """Draw the result's spectrograms beside its sounds."""
    sounds = {track.label: track.sound for track in result.tracks}
    store.add(token, {"spectrograms.png": spectrograms(result.original, sounds)})


def render_result(result: Result, token: str, *, note: str | None = None) -> str:
    """The result as HTML.

    Args:
        result: what to show.
        token: of its files.
        note: in the place of the picture and the numbers, why they are not there.
    """
    stems, sounds, tracks = zip(*_sounds(result), strict=True)
    gains = matched_gains(list(sounds))
    channels = {1: "mono", 2: "stereo"}[sounds[0].channels]
    return _wrapped(
        "result.html.jinja",
        token=token,
        note=note,
        seconds=sounds[0].duration,
        rate=sounds[0].sample_rate,
        told=f"{sounds[0].duration:.2f} s · {sounds[0].sample_rate / 1000:g} kHz · {channels}",
        outline=outline(sounds[0]),
        tracks=[
            {"stem": stem, "gain_db": gain, **_track_facts(track)}
            for stem, gain, track in zip(stems, gains, tracks, strict=True)
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


def _sounds(result: Result) -> list[tuple[str, Waveform, Track | None]]:
    """Name of its files without suffix, sound, and track of each; the original, which has no track, first."""
    found: list[tuple[str, Waveform, Track | None]] = []
    if result.original is not None:
        found.append((f"{result.name}-original", result.original, None))
    for index, track in enumerate(result.tracks, 1):
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", track.label).strip("-")[:32] or "result"
        stem = f"{result.name}-{index}-{slug}" if len(result.tracks) > 1 else f"{result.name}-{slug}"
        found.append((stem, track.sound, track))
    return found


def _track_facts(track: Track | None) -> Json:
    """Of a button and a row of downloads; None is the original."""
    if track is None:
        return {"label": "Original", "reference": True, "about": "", "stream": False, "notes": (), "related": None}
    stream, about = track.stream, "no bits"
    if stream is not None:
        about = f"{len(stream)} bytes · {rate(track.bitrate)} bit/s · 1:{number(track.ratio)} of 16-bit PCM"
    return {
        "label": track.label,
        "reference": False,
        "about": about,
        "stream": stream is not None,
        "bytes": len(stream or b""),
        "notes": track.notes,
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
            {
                "name": _NAMES.get(row.name, row.name),
                "unit": row.unit,
                "arrow": ARROWS[row.direction],
                "values": [one[row.name] for one in values],
                "controls": list(row.controls.values()),
            }
            for row in rows[0]
        ],
    }


def _asset(name: str) -> Markup:
    return asset_of("noisebook.report" if name in _SHARED else "noisebook.studio", name)
