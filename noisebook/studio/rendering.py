"""A result as HTML, with its files in a store.

The HTML goes into the element `noisebook-result` (templates/studio.js), which shows it apart from the styles of the
page around it.
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

from noisebook.audio.io import wav_bytes
from noisebook.audio.waveform import Waveform
from noisebook.metrics.suite import METRICS
from noisebook.report.page import matched_gains, outline, templates
from noisebook.report.results import ARROWS, goodness, number, rate
from noisebook.studio.files import ResultStore
from noisebook.studio.jobs import Result, Track
from noisebook.verification.sounds import Verification

Json = dict[str, Any]
_YARDSTICKS = ("zimtohrli", "mel_db_mae")  # that order results in a sentence, the first that was measured
_LABELS = {metric.name: metric.label for metric in METRICS}


def store_sounds(result: Result, store: ResultStore, owner: str | None) -> str:
    """Keep the result's sounds and streams, for ever without an owner, and give their token."""
    held: dict[str, bytes] = {}
    for stem, sound, track in _sounds(result):
        # 16 bits: what the command line writes, without the delay or the colour of a lossy format.
        held[f"{stem}.wav"] = wav_bytes(sound)
        if track is not None and track.stream is not None:
            held[f"{stem}{track.suffix}"] = track.stream
    return store.put(owner, held)


def render_result(result: Result, token: str, *, note: str | None = None) -> str:
    """The result as HTML, with the token of its files; a note takes the place of numbers that are not there."""
    stems, sounds, tracks = zip(*_sounds(result), strict=True)
    gains = matched_gains(list(sounds))
    channels = {1: "mono", 2: "stereo"}[sounds[0].channels]
    return _wrapped(
        "result.html.jinja",
        token=token,
        note=note,
        ready=all(track.seconds is None for track in result.tracks),
        name=result.name,
        title=f"{result.name}: {', '.join(_shown(track) for track in result.tracks)}",
        heard=len(sounds) - len(result.tracks),
        stereo=any(sound.channels == 2 for sound in sounds),
        sentences=_sentences(result),
        seconds=sounds[0].duration,
        rate=sounds[0].sample_rate,
        summary=f"{sounds[0].duration:.2f} s · {sounds[0].sample_rate / 1000:g} kHz · {channels}",
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


def _wrapped(template: str, **facts: Any) -> str:
    """In an attribute, since Gradio compares what is inside of elements and misses templates."""
    return str(Markup('<noisebook-result content="{}"></noisebook-result>').format(rendered(template, **facts)))


def rendered(template: str, **facts: Any) -> str:
    """A template or style sheet of the studio, or one that it shares with the reports."""
    return templates("noisebook.studio", "noisebook.report").get_template(template).render(**facts)


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
        return {"label": "Original", "reference": True, "family": "reference", "about": "", "notes": ()}
    facts = {"label": _shown(track), "reference": False, "notes": track.notes, "seconds": track.seconds}
    if track.stream is None:
        return facts | {"about": "no bits", "family": "reconstruct", "stream": False}
    size, family = len(track.stream), "ddcm" if track.suffix == ".ddcm" else "codec"
    about = f"{size} bytes · 1:{number(track.ratio)} of 16-bit PCM"
    return facts | {"about": about, "family": family, "stream": True, "suffix": track.suffix, "bytes": size}


def _shown(track: Track) -> str:
    """The label, after the rate of the file where there is one."""
    return track.label if track.bitrate is None else f"{rate(track.bitrate)} bit/s ({track.label})"


def _judged(result: Result) -> list[tuple[str, Verification]]:
    """Labels and findings of the tracks that have metrics."""
    return [
        (_shown(track), track.verification)
        for track in result.tracks
        if track.verification and track.verification.metrics
    ]


def _sentences(result: Result) -> list[str]:
    """What the numbers say: which tracks are related to the original, and their order by one metric."""
    judged = _judged(result)
    if not judged:
        silent = any(track.verification for track in result.tracks)
        return ["The original is silence: there is nothing to compare."] if silent else []
    sentences = []
    for related, words in ((True, "related to the original"), (False, "not distinguishable from an unrelated sound")):
        labels = [label for label, found in judged if found.verdict.related == related]
        if labels:
            sentences.append(f"{', '.join(labels)}: {words}.")
    metric = min(
        (row for row in judged[0][1].metrics if row.name in _YARDSTICKS), key=lambda row: _YARDSTICKS.index(row.name)
    )
    known = result.yardstick
    ranked = [*judged, (_shown(known), known.verification)] if known and known.verification else judged
    values = {label: row.value for label, found in ranked for row in found.metrics if row.name == metric.name}
    order = sorted(values, key=lambda label: -goodness(values[label], metric.direction))
    best = max(metric.controls.values(), key=lambda value: goodness(value, metric.direction))
    listed = ", then ".join(f"{label} with {number(values[label])}" for label in order)
    nearest = "Nearest to it by" if len(order) > 1 else "By"
    label, unit = _LABELS[metric.name], f" {metric.unit}" if metric.unit else ""
    return [
        *sentences,
        f"{nearest} {label}: {listed}{unit}; the best of the unrelated sounds has {number(best)}{unit}.",
    ]


def _table(result: Result) -> Json | None:
    """A row for each metric: a value for each track, and for each control."""
    judged = _judged(result)
    if not judged:
        return None
    first = judged[0][1].metrics
    values = [{row.name: row.value for row in found.metrics} for _, found in judged]
    rows = [
        {"name": _LABELS.get(row.name, row.name.capitalize()), "unit": row.unit, "arrow": ARROWS[row.direction],
         "values": [one[row.name] for one in values], "controls": list(row.controls.values())}
        for row in first
    ]  # fmt: skip
    return {"tracks": [label for label, _ in judged], "controls": list(first[0].controls), "rows": rows}
