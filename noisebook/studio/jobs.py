"""What the studio does with a sound: settings in, sounds with their numbers out. No page, no files."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from noisebook import api
from noisebook.audio.io import bundled_clips, read
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.comparison.inputs import SAMPLE_RATE
from noisebook.comparison.judging import delay_of, placed
from noisebook.comparison.methods import Job
from noisebook.comparison.programs import available_codecs
from noisebook.diffusion.backend import Backend
from noisebook.errors import ConfigError, Error
from noisebook.metrics.suite import available
from noisebook.options import OnStep
from noisebook.studio.settings import Settings
from noisebook.verification.sounds import Verification

READY = Path(__file__).parents[1] / "assets" / "ready"  # what docs/make_sounds.py made of the bundled clips
READY_PRESETS = ("3000", "300", "30")
YARDSTICK = "opus-6k"
_TIMEOUT = 60.0  # seconds for a program
CLIPS = {"demo": "Song", "demo-speech": "Voice"}  # of which there is something ready

Tell = Callable[[str, float], None]  # what is being done, and how much of the whole job is; may raise `Cancelled`

# Shown where they are installed; each takes a fraction of a second for ten seconds of sound.
METRICS = (
    "mel_db_mae", "log_spectral_distance_db", "multi_resolution_stft", "mel_correlation", "loudness_difference_lu",
    "zimtohrli",
)  # fmt: skip


class Cancelled(Exception):
    """The visitor does not want the result any more. Raised by a `Tell`, so that the next step is not done."""


@dataclass(frozen=True, eq=False)
class Track:
    """A sound that a method made, and what is known of it."""

    label: str  # of the method, for people
    sound: Waveform
    seconds: float | None  # that making it took; None where that is not known
    stream: bytes | None = None  # the coded file that holds it; None where the method does not code
    suffix: str = ".ddcm"  # of that file
    notes: tuple[str, ...] = ()  # what the method had to say, a sentence each
    comparable: bool = True  # whether the original says how good it is
    verification: Verification | None = None  # beside the original; that of the first track has the controls too

    @property
    def bitrate(self) -> float | None:
        """Of the whole stream, bit/s."""
        return None if self.stream is None else 8 * len(self.stream) / self.sound.duration

    @property
    def ratio(self) -> float | None:
        """Bytes of the sound as 16-bit PCM over those of the stream."""
        return None if self.stream is None else 2 * self.sound.samples.size / len(self.stream)


@dataclass(frozen=True, eq=False)
class Result:
    """What a visitor gets."""

    name: str  # for files
    original: Waveform | None  # None for a generated sound and an opened stream
    tracks: tuple[Track, ...]  # one, or several of a comparison
    settings: Settings | None = None  # that made them; None for an opened stream
    failures: tuple[tuple[str, str], ...] = ()  # label and sentence of each compared method that failed
    facts: dict[str, str] = field(default_factory=dict)  # what an opened stream says about itself
    yardstick: Track | None = None  # a codec that people know, beside a compressed sound


def run(
    settings: Settings, sound: Waveform | None, *, backend: Backend, name: str = "sound", tell: Tell | None = None
) -> Iterator[Result]:
    """Do what the settings ask for: first what can be heard, then, where that can be compared, the same with metrics.

    Error without a sound, but for "generate", and as of the method. `tell` is called before each part of the work and
    after each call of the denoiser, and what it raises ends the job; `name` is for files.
    """
    names = settings.methods if settings.method == "compare" else ()
    planned = [compared(name, settings.seed) for name in names] or [(_label(settings), settings)]
    progress = _Progress(tell, stages=sum(2 if one.method == "codec" else 1 for _, one in planned))
    if settings.method == "generate":
        yield Result(name, None, (_track(*planned[0], None, backend, progress),), settings)
        return
    if sound is None:
        raise ConfigError("there is no sound: drop a file, record one, or choose a bundled clip")
    tracks: list[Track] = []
    failures: list[tuple[str, str]] = []
    for label, one in planned:
        try:
            tracks.append(_track(label, one, sound, backend, progress))
        except Error as error:
            if len(planned) == 1:
                raise
            failures.append((label, str(error)))
    if not tracks:
        raise ConfigError(f"no method gave a sound; {failures[0][0]}: {failures[0][1]}")
    result = Result(name, sound, tuple(tracks), settings, tuple(failures))
    yield result
    if not any(track.comparable for track in tracks):
        return
    judged = tuple(_judged(track, sound, progress, controls=track is tracks[0]) for track in tracks)
    yardstick = None
    if settings.method == "codec" and YARDSTICK in available_codecs():
        try:
            yardstick = _judged(_by_program(YARDSTICK, sound), sound, progress, controls=False)
        except Error as error:
            failures.append((YARDSTICK, str(error)))
    yield replace(result, tracks=judged, yardstick=yardstick, failures=tuple(failures))


def ready_made(clip: str) -> Result:
    """One of `CLIPS`, compressed when the package was made: to be heard without computing anything."""
    note = "by the model inside the package; to be heard at once, the decoded sound is kept as Opus of 40 kbit/s"
    tracks = []
    for preset in READY_PRESETS:
        stem = READY / f"{clip}-{preset}"
        stream = stem.with_suffix(".ddcm").read_bytes()
        tracks.append(Track(f"preset {preset}", read(stem.with_suffix(".opus")), None, stream, notes=(note,)))
    return Result(CLIPS[clip], read(bundled_clips()[clip]), tuple(tracks))


def open_stream(data: bytes, *, backend: Backend, name: str = "stream", tell: Tell | None = None) -> Result:
    """Decode a stream, and show what it says about itself; StreamError if it is no whole stream of this model."""
    progress = _Progress(tell, stages=1)
    info = api.read_info(data, info=backend.info)
    started = time.perf_counter()
    sound = api.decompress(data, backend=backend, on_step=progress.stage("decompressing"))
    track = Track("decoded", sound, time.perf_counter() - started, data)
    facts = {name: text for name, text in info.in_words().items() if text != "-"}
    return Result(name, None, (track,), facts=facts)


def compared(name: str, seed: int = 0) -> tuple[str, Settings]:
    """Label and settings of one of `compared_methods`; a codec that is a program is a comparison of one method."""
    if name in available_codecs():
        return available_codecs()[name].label, Settings(method="compare", methods=(name,), seed=seed)
    kind, _, choice = name.partition("-")
    method, option = {
        "codec": ("codec", "preset"), "vq": ("codec", "codebook"), "reconstruct": ("reconstruct", "reconstruction")
    }[kind]  # fmt: skip
    settings = Settings(method=method, seed=seed).replaced(**{option: choice})
    return _label(settings), settings


def _label(settings: Settings) -> str:
    preset = f"asked for {settings.bitrate:g}" if settings.bitrate else f"preset {settings.preset}"
    return {
        "codec": f"codebook {settings.codebook}" if settings.codebook else preset,
        "generate": "generated",
        "reconstruct": f"reconstructed, {settings.reconstruction}",
        "transform": f"towards “{settings.prompt}”" if settings.prompt else "transformed",
        "restore": {"inpaint": "gaps filled", "bandwidth": "band restored", "declip": "declipped"}[settings.task],
    }[settings.method]


def _track(label: str, settings: Settings, given: Any, backend: Backend, progress: _Progress) -> Track:
    """Do one method; `given` is the visitor's sound."""
    started = time.perf_counter()
    sound, stream, notes = given, None, list[str]()
    unknown: tuple[str, ...] = ()
    prompt = settings.prompt or None
    options: Any = {"backend": backend, "seed": settings.seed}
    if settings.method == "codec":
        options["on_step"] = progress.stage("compressing")
        if settings.codebook:
            del options["seed"]
            stream = api.compress_with_codebook(given, codebook=settings.codebook, **options)
        else:
            rate: Any = {"bitrate": settings.bitrate} if settings.bitrate else {"preset": settings.preset}
            stream = api.compress(given, quality=settings.quality, **options, **rate)
        sound = api.decompress(stream, backend=backend, on_step=progress.stage("decompressing"))
    elif settings.method == "compare":
        progress.stage(label)
        return _by_program(settings.methods[0], given)
    elif settings.method == "reconstruct":
        progress.stage("reconstructing")
        reconstructed = api.reconstruct(given, preset=settings.reconstruction, **options)
        sound = reconstructed.waveform
        notes.append(" · ".join(f"{name.replace('_', ' ')} {text}" for name, text in vars(reconstructed.ran).items()))
    elif settings.method == "transform":
        unknown = api.unknown_words(backend, prompt) if prompt else ()
        steps = progress.stage("transforming")
        options |= {"strength": settings.strength, "method": settings.transformation}
        sound = api.transform(given, prompt, on_step=steps, **options)
    elif settings.method == "generate":
        generate: Any = api.generate_stream if settings.stream else api.generate
        made = generate(settings.prompt, seconds=settings.seconds, on_step=progress.stage("generating"), **options)
        sound, unknown, stream = made.sound, made.unknown, made.data if settings.stream else None
    else:
        cutoff = settings.cutoff if settings.task == "bandwidth" and settings.cutoff else None
        steps = progress.stage("restoring")
        restored = api.restore(
            given, settings.task, gaps=_gaps(settings), cutoff=cutoff, prompt=prompt, on_step=steps, **options
        )
        sound, unknown = restored.sound, restored.unknown
    if unknown:
        notes.append(f"words that the model does not know: {', '.join(unknown)}")
    if settings.method in ("transform", "restore"):
        sound, gain_db = api.within_full_scale(sound)
        if gain_db:
            notes.append(f"made quieter by {-gain_db:g} dB to fit full scale")
    comparable = settings.method not in ("generate", "restore")
    return Track(label, sound, time.perf_counter() - started, stream, notes=tuple(notes), comparable=comparable)


def _by_program(name: str, given: Waveform) -> Track:
    """What a codec of the machine makes of a sound: its file, and the sound decoded and in its place."""
    started = time.perf_counter()
    method, sound = available_codecs()[name], resample(given, SAMPLE_RATE)
    coded = method.run(Job(downmix(sound) if method.mono else sound, timeout=_TIMEOUT))
    place = placed(sound, coded.sound, lag=delay_of(method, timeout=_TIMEOUT))
    samples = resample(place.sound, given.sample_rate).samples[:, : given.sample_count]
    seconds = time.perf_counter() - started
    return Track(method.label, Waveform(samples, given.sample_rate), seconds, coded.data, method.suffix)


def _judged(track: Track, original: Waveform, progress: _Progress, *, controls: bool) -> Track:
    """The track with metrics, where the original says how good it is."""
    if not track.comparable:
        return track
    names = [name for name in METRICS if name in available()]
    steps = progress.stage("judging")
    found = api.verify(original, track.sound, lag=0, metrics=names, controls=controls, on_step=steps)
    return replace(track, verification=found)


def _gaps(settings: Settings) -> list[tuple[float, float]]:
    """Gaps as they are written: "2.5:2.9 4:4.2", in seconds; commas may be between them."""
    if settings.task != "inpaint":
        return []
    found = []
    for word in re.split(r"[\s,;]+", settings.gaps.strip()):
        start, _, end = word.partition(":")
        try:
            found += [(float(start), float(end))] if word else []
        except ValueError:
            raise ConfigError(f"a gap {word!r}: write START:END in seconds, such as 2.5:2.9") from None
    return found


class _Progress:
    """One count over all stages of a job, which take about as long as each other."""

    def __init__(self, tell: Tell | None, stages: int) -> None:
        self._tell, self._stages, self._begun = tell or (lambda what, share: None), stages, 0

    def stage(self, what: str) -> OnStep:
        """Begin the next stage, tell so, and give the `on_step` that tells how far it is."""
        begun, self._begun = self._begun, self._begun + 1

        def on_step(done: int, total: int) -> None:
            self._tell(what, min(1.0, (begun + done / total) / self._stages))

        on_step(0, 1)
        return on_step
