"""A sound in HTML that holds all of it: the address for a player, and how a notebook shows it, without IPython."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from math import log2

import numpy as np

from noisebook.audio.formats import encode
from noisebook.audio.level import peak_db
from noisebook.audio.waveform import Waveform, downmix

_SECONDS = 60.0  # that are in the player: a notebook keeps what it shows
_TYPES = {"FLAC": "audio/flac", "WAV": "audio/wav"}
_RANGE_DB = 80.0  # of the picture, below its peak


def sound_html(sound: Waveform) -> str:
    """A player of the first minute at most, its spectrogram where matplotlib is installed, and facts."""
    shown = Waveform(sound.samples[:, : round(_SECONDS * sound.sample_rate)], sound.sample_rate)
    channels = {1: "mono", 2: "stereo"}.get(sound.channels, f"{sound.channels} channels")
    facts = [channels, f"{sound.sample_rate} Hz", f"{sound.duration:.2f} s", f"peak {peak_db(sound.samples):.1f} dB"]
    if shown.sample_count < sound.sample_count:
        facts.append(f"the first {_SECONDS:g} s are here")
    player = f'<audio controls src="{sound_uri(shown)}"></audio>'
    return f"<div>{player}{_picture(shown)}<div>{', '.join(facts)}</div></div>"


def sound_uri(sound: Waveform, container: str = "FLAC") -> str:
    """A sound as a data URI, 16 bits.

    FLAC, for Chromium, Firefox and Safari all decode it, it adds nothing to what is being judged, and it has no encoder
    delay, so that sounds stay in step. (Safari learned Ogg late, and MP3 shifts sounds and colours them.)
    """
    return data_uri(bytes(encode(sound, container, "PCM_16")[0]), _TYPES[container])


def data_uri(data: bytes, media_type: str) -> str:
    """Bytes as a URI that contains them."""
    return f"data:{media_type};base64,{b64encode(data).decode('ascii')}"


def _picture(sound: Waveform) -> str:
    """The spectrogram as an image, or nothing where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return ""
    from scipy.signal import spectrogram

    window = 2 ** round(log2(sound.sample_rate / 24))  # some 40 ms
    samples = downmix(sound).samples[0]
    padded = np.pad(samples, (0, max(0, window - samples.size)))
    power = spectrogram(padded, nperseg=window, noverlap=window * 3 // 4)[2]
    decibels = 10 * np.log10(power + 1e-20)  # silence has a level too
    figure = Figure(figsize=(8, 2.2), layout="constrained")
    axis = figure.subplots()
    top, size = decibels.max(), (0, sound.duration, 0, sound.sample_rate / 2000)
    axis.imshow(decibels, "magma", origin="lower", aspect="auto", vmin=top - _RANGE_DB, vmax=top, extent=size)
    axis.set_xticks([])
    axis.set_ylabel("kHz")
    file = BytesIO()
    figure.savefig(file, format="jpeg", dpi=75, pil_kwargs={"quality": 80})
    return f'<br><img alt="Spectrogram" style="max-width: 100%" src="{data_uri(file.getvalue(), "image/jpeg")}">'
