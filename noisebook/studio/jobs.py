"""What the studio does with a sound: settings in, sounds with their numbers out. No page, no files."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from noisebook.errors import ConfigError, Error
from noisebook.options import OnStep
from noisebook.studio.settings import Settings

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend
    from noisebook.verification.sounds import Verification

__all__ = ["METRICS", "Cancelled", "Made", "OnStep", "Result", "Tell", "Track", "open_stream", "run"]

Tell = Callable[[str, int, int], None]  # what is being done, steps done, steps in all; may raise `Cancelled`

# Shown where they are installed; each takes a fraction of a second for ten seconds of sound.
METRICS = (
    "mel_db_mae", "log_spectral_distance_db", "multi_resolution_stft", "mel_correlation", "loudness_difference_lu",
    "zimtohrli",
)  # fmt: skip


class Cancelled(Error):
    """The visitor does not want the result any more. Raised by a `Tell`, so that the next step is not done."""


@dataclass(frozen=True, eq=False)
class Made:
    """A sound that a method made.

    Attributes:
        sound: to hear.
        stream: the .ddcm stream that holds it; None where the method does not code.
        told: what the method had to say, a sentence each.
        comparable: whether the original says how good it is.
    """

    sound: Waveform
    stream: bytes | None = None
    told: tuple[str, ...] = ()
    comparable: bool = True


@dataclass(frozen=True, eq=False)
class Track:
    """A sound that was made, and what is known of it.

    Attributes:
        label: of the method, for people.
        made: the sound.
        seconds: that making it took.
        verification: metrics and verdict beside the original; None where there is nothing to compare with. That of
            the first track has the controls too.
    """

    label: str
    made: Made
    seconds: float
    verification: Verification | None = None

    @property
    def bitrate(self) -> float | None:
        """Of the whole stream, bit/s."""
        stream = self.made.stream
        return None if stream is None else 8 * len(stream) / self.made.sound.duration

    @property
    def ratio(self) -> float | None:
        """Bytes of the sound as 16-bit PCM over those of the stream."""
        stream = self.made.stream
        return None if stream is None else 2 * self.made.sound.samples.size / len(stream)


@dataclass(frozen=True, eq=False)
class Result:
    """What a visitor gets.

    Attributes:
        name: for files.
        original: what was given; None for a generated sound and an opened stream.
        tracks: one, or several of a comparison.
        settings: that made them; None for an opened stream.
        failures: label and sentence of each compared method that failed.
        facts: what an opened stream says about itself.
    """

    name: str
    original: Waveform | None
    tracks: tuple[Track, ...]
    settings: Settings | None = None
    failures: tuple[tuple[str, str], ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def run(
    settings: Settings, sound: Waveform | None, *, backend: Backend, name: str = "sound", tell: Tell | None = None
) -> Result:
    """Do what the settings ask for.

    Args:
        settings: method and options.
        sound: the visitor's; not looked at by "generate".
        backend: from `load_backend`.
        name: of the sound, for files.
        tell: called before each part of the work and after each call of the denoiser; what it raises ends the job.

    Raises:
        ConfigError: no sound, or an option outside its range.
        Error: as the method.
        Cancelled: as `tell`.
    """
    tell = tell or _nothing
    if settings.method == "generate":
        return Result(name, None, (_track("generated", settings, None, backend, tell),), settings)
    if sound is None:
        raise ConfigError("there is no sound: drop a file, record one, or choose a bundled clip")
    tracks: list[Track] = []
    failures: list[tuple[str, str]] = []
    planned = list(_planned(settings))
    for label, one in planned:
        try:
            tracks.append(_judged(_track(label, one, sound, backend, tell), sound, tell, controls=not tracks))
        except Cancelled:
            raise
        except Error as error:
            if len(planned) == 1:
                raise
            failures.append((label, str(error)))
    if not tracks:
        raise ConfigError(f"no method gave a sound; {failures[0][0]}: {failures[0][1]}")
    return Result(name, sound, tuple(tracks), settings, tuple(failures))


def open_stream(data: bytes, *, backend: Backend, name: str = "stream", tell: Tell | None = None) -> Result:
    """Decode a stream, and show what it says about itself.

    Raises:
        StreamError: not a whole stream of this model.
    """
    from noisebook import api

    tell = tell or _nothing
    info = api.read_info(data, info=backend.info)
    started = time.perf_counter()
    sound = api.decompress(data, backend=backend, on_step=_steps(tell, "decompressing"))
    track = Track("decoded", Made(sound, data), time.perf_counter() - started)
    return Result(name, None, (track,), facts=_facts(vars(info)))


def _planned(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """Label and settings of every method to run."""
    if settings.method != "compare":
        yield _label(settings), settings
        return
    for name in settings.methods:
        kind, _, choice = name.partition("-")
        option = {"codec": "preset", "vq": "codebook", "reconstruct": "reconstruction"}[kind]
        start = Settings(method="codec" if kind == "vq" else kind, seed=settings.seed)
        chosen: dict[str, Any] = {option: choice}
        one = replace(start, **chosen)
        yield _label(one), one


def _label(settings: Settings) -> str:
    if settings.method == "codec" and settings.codebook:
        return f"codebook {settings.codebook}"
    if settings.method == "codec":
        return f"{settings.bitrate:g} bit/s" if settings.bitrate else f"{settings.preset} bit/s"
    return {
        "reconstruct": f"reconstructed, {settings.reconstruction}",
        "transform": f"towards “{settings.prompt}”" if settings.prompt else "transformed",
        "restore": {"inpaint": "gaps filled", "bandwidth": "band restored", "declip": "declipped"}.get(
            settings.task, settings.task
        ),
    }[settings.method]


def _track(label: str, settings: Settings, sound: Waveform | None, backend: Backend, tell: Tell) -> Track:
    started = time.perf_counter()
    made = _MAKERS[settings.method](settings, sound, backend, tell)
    return Track(label, made, time.perf_counter() - started)


def _judged(track: Track, original: Waveform, tell: Tell, *, controls: bool) -> Track:
    """The track with metrics, where the original says how good it is."""
    if not track.made.comparable:
        return track
    from noisebook.api.verify import verify
    from noisebook.metrics.suite import available

    names = [name for name in METRICS if name in available()]
    verification = verify(
        original, track.made.sound, lag=0, metrics=names, controls=controls, on_step=_steps(tell, "judging")
    )
    return replace(track, verification=verification)


def _code(settings: Settings, sound: Any, backend: Backend, tell: Tell) -> Made:
    from noisebook import api

    steps = _steps(tell, "compressing")
    if settings.codebook:
        data = api.compress_with_codebook(sound, backend=backend, codebook=settings.codebook, on_step=steps)
    else:
        choice: dict[str, Any] = {"bitrate": settings.bitrate} if settings.bitrate else {"preset": settings.preset}
        data = api.compress(
            sound, backend=backend, quality=settings.quality, seed=settings.seed, on_step=steps, **choice
        )
    return Made(api.decompress(data, backend=backend, on_step=_steps(tell, "decompressing")), data)


def _reconstruct(settings: Settings, sound: Any, backend: Backend, tell: Tell) -> Made:
    from noisebook import api

    tell("reconstructing", 0, 1)
    made = api.reconstruct(sound, backend=backend, preset=settings.reconstruction, seed=settings.seed)
    ran = (f"{name.replace('_', ' ')} {text}" for name, text in vars(made.ran).items())
    return Made(made.waveform, told=(" · ".join(ran),))


def _transform(settings: Settings, sound: Any, backend: Backend, tell: Tell) -> Made:
    from noisebook import api

    prompt = settings.prompt or None
    unknown = api.unknown_words(backend, prompt) if prompt else ()
    made = api.transform(
        sound, prompt, backend=backend, strength=settings.strength, seed=settings.seed,
        on_step=_steps(tell, "transforming"),
    )  # fmt: skip
    return _fitting(made, _told_words(unknown))


def _generate(settings: Settings, _: Any, backend: Backend, tell: Tell) -> Made:
    from noisebook import api

    steps = _steps(tell, "generating")
    options: dict[str, Any] = {"seconds": settings.seconds, "seed": settings.seed, "on_step": steps}
    if settings.stream:
        stream = api.generate_stream(settings.prompt, backend=backend, **options)
        return Made(stream.sound, stream.data, _told_words(stream.unknown), comparable=False)
    made = api.generate(settings.prompt, backend=backend, **options)
    return Made(made.sound, told=_told_words(made.unknown), comparable=False)


def _restore(settings: Settings, sound: Any, backend: Backend, tell: Tell) -> Made:
    from noisebook import api

    made = api.restore(
        sound, settings.task, backend=backend, gaps=_gaps(settings), cutoff=_cutoff(settings), seed=settings.seed,
        prompt=settings.prompt or None, on_step=_steps(tell, "restoring"),
    )  # fmt: skip
    return _fitting(made.sound, _told_words(made.unknown), comparable=False)


_MAKERS: dict[str, Callable[[Settings, Any, Backend, Tell], Made]] = {
    "codec": _code, "reconstruct": _reconstruct, "transform": _transform, "generate": _generate, "restore": _restore,
}  # fmt: skip


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


def _cutoff(settings: Settings) -> float | None:
    return settings.cutoff if settings.task == "bandwidth" and settings.cutoff else None


def _fitting(sound: Waveform, told: tuple[str, ...], *, comparable: bool = True) -> Made:
    """The sound within full scale, and what that took."""
    from noisebook import api

    fitting, gain_db = api.within_full_scale(sound)
    quieter = (f"made quieter by {-gain_db:g} dB to fit full scale",) if gain_db else ()
    return Made(fitting, told=(*told, *quieter), comparable=comparable)


def _told_words(unknown: tuple[str, ...]) -> tuple[str, ...]:
    return (f"words that the model does not know: {', '.join(unknown)}",) if unknown else ()


def _facts(values: dict[str, Any]) -> dict[str, str]:
    """What a stream says, as text, without what it has not."""
    return {name.replace("_", " "): _fact(value) for name, value in values.items() if value is not None}


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _steps(tell: Tell, what: str) -> OnStep:
    """An `on_step` that tells what the steps are of; the beginning is told at once."""
    tell(what, 0, 1)
    return lambda done, total: tell(what, done, total)


def _nothing(what: str, done: int, total: int) -> None:
    """Tell nobody."""
