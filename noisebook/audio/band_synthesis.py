"""Sound from bands, without weights: partials carry the phases, and rounds of consistency do the rest.

    bands --interpolate--> magnitudes --.
      '--mean shift--> partials --sum--> phases --inverse STFTs--> sound --rounds--> sound that has these bands

**Magnitudes** of the bins are those of the bands around them. **Phases** go on as in a phase vocoder (Flanagan & Golden
1966), by the frequency of the partial to which a bin belongs: the mode of the fine bands that mean shift (Comaniciu &
Meer 2002) reaches from it, right to two cents for a lone partial. Above the fine bands they are random, but for
partials that stand alone and for the harmonics of a voice, which go on to some 4 kHz. In a **round of consistency**,
after Griffin & Lim (1984), the sound is analysed, its STFT is multiplied by what is wanted over what is found, and put
together again; for each bank in turn.

A sum of frequencies would remember all that was before it. So phases begin anew every `PHASE_BLOCK` frames of the
timeline, and what they miss of that beginning is spread over the block before it, a detuning of at most 0.2 Hz (of the
pitch of a voice, and of its harmonics in proportion): nothing jumps, and a piece of a timeline sounds as the whole
does, `SYNTHESIS_REACH` frames away from its ends.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from noisebook.audio.bands import BAND_FLOOR, BANKS, HOP_LENGTH, PADDING, PHASE_BLOCK, SAMPLE_RATE, Bank, band_filters
from noisebook.audio.features import BAND_FEATURES
from noisebook.audio.voicing import Pitch, find_pitch

_ROUNDS = 7

_SHIFTS = 12  # of the mean shift
# Standard deviation of its kernel, in Hz and at least in bands, and the power of the magnitudes. A wider kernel draws
# the notes of a close chord together (thirds and fourths in the bass by 150 cents at 12 Hz, by 6 at 5 Hz).
_KERNEL_HZ, _KERNEL_BANDS, _SHARPNESS = 5.0, 0.8, 2.0
_DELAY = 0.02  # seconds over which the partials of a block begin one after the other, against a click
_LOBE = 2.0  # bins of the window's main lobe to either side: a partial further away is not this bin's
_ALONE = (0.6, 1.2)  # nepers (5 and 10 dB) over its surroundings from which a partial may be, and is, alone
_FOOT, _VOICE_FOOT = 0.01, 0.1  # of a main lobe: of a partial that stands alone, of a harmonic of a voice
_HARMONICS_END = (4000.0, 2000.0)  # Hz: around here, over so many, harmonics fade into noise
_FADED = 0.93  # of the top of a bank: from there the next one takes over
_MOST = 1.4  # nepers (12 dB) by which one round changes a band
_AT_ONCE = 256  # frames of an STFT that are held
_PRECISE = ("cpu", "cuda")  # devices that compute in float64, as phases do
_HOP, _RATE = HOP_LENGTH, SAMPLE_RATE
_FINE = BANKS[0]
_FINE_HZ = 1440.0  # up to here it tells partials: beside its last band a mode could only be that band, a steady whistle


def synthesise_bands(bands: torch.Tensor, *, first_frame: int = 0, rounds: int = _ROUNDS) -> torch.Tensor:
    """The sound of natural-log bands as `log_bands` makes them: `[B, 1, T, F] -> [B, hop_length * T]`.

    Args:
        bands: with values of at most about 0.
        first_frame: index of the piece's first frame on its timeline.
        rounds: of consistency; 0 leaves what partials alone make.
    """
    place = bands.device if bands.device.type in _PRECISE else torch.device("cpu")
    with torch.no_grad(), torch.autocast(place.type, enabled=False):
        wanted = bands[:, 0].float().to(place)
        sound = _first_guess(wanted, first_frame)
        parts = wanted.split([bank.count for bank in BANKS], -1)
        for _ in range(rounds):
            for bank, own in reversed(list(zip(BANKS, parts, strict=True))):  # pitch has the last word
                sound = _consistent(sound, own, bank)
        return sound.to(bands.device)


def _first_guess(wanted: torch.Tensor, first_frame: int) -> torch.Tensor:
    """The sound `[B, hop_length * T]` of bands `[B, T, F]` before any round, put together block by block."""
    count, device = wanted.shape[1], wanted.device
    totals = [wanted.new_zeros(len(wanted), (count - 1) * _HOP + head.stft.n_fft) for head in _HEADS]
    start = 0
    while start < count:
        block, into = divmod(first_frame + start, PHASE_BLOCK)
        end = min(count, start + PHASE_BLOCK - into)
        piece = wanted[:, start:end]
        lone = _lone_partials(piece[..., _FINE.count :])
        voice = _harmonics(find_pitch(piece[..., : _FINE.count]), into)
        voicing = voice.voicing * (1 - lone.certain)
        lobe = lone.lobe * torch.lerp(torch.ones_like(voicing), voice.lobe, voicing)
        magnitude = (piece @ _envelope(device)).clamp(max=1.0).exp() * lobe
        turns = _since_beginning(_turns(piece) + lone.beyond, into)
        phases = _beginning(device) + torch.where(voicing > 0, voice.turns, turns)
        noise = _noise(block, device)[into : into + end - start] * (1 - torch.maximum(lone.certain, voicing))
        spectrum = torch.polar(magnitude, (torch.remainder(phases + noise, 1.0) * 2 * torch.pi).float())
        for head, total, part in zip(_HEADS, totals, spectrum.split([head.count for head in _HEADS], -1), strict=True):
            head.overlap_add(total, part, start)
        start = end
    return torch.stack([head.stft.normalised(total, count) for head, total in zip(_HEADS, totals, strict=True)]).sum(0)


class _Stft:
    """Frames of a Hann window of `size` samples around the middle of a hop, their spectra `padding` times as fine; of
    sound of which one sample in `decimation` is left."""

    def __init__(self, size: int, padding: int = 1, decimation: int = 1) -> None:
        self.decimation, self.hop, self.size = decimation, _HOP // decimation, size // decimation
        self.n_fft = padding * self.size
        self.pad = (self.size - self.hop) // 2
        self._window = torch.hann_window(self.size)

    @property
    def hertz(self) -> np.ndarray:
        """Of the bins."""
        return np.arange(self.n_fft // 2 + 1) * _RATE / self.decimation / self.n_fft

    def window(self, device: torch.device) -> torch.Tensor:
        """`[size]`."""
        return _kept(self._window, device)

    def overlap_add(self, total: torch.Tensor, spectrum: torch.Tensor, first: int) -> None:
        """Add the frames of spectra `[B, t, bins]`, windowed, to `total`, in place, from where its frame `first`
        begins; `total` of T frames is `[B, (T - 1) * hop + size]`."""
        frames = torch.fft.irfft(spectrum, n=self.n_fft)[..., : self.size]
        length = (frames.shape[1] - 1) * self.hop + self.size
        windowed = (frames * self.window(frames.device)).transpose(1, 2)
        added = F.fold(windowed, (1, length), (1, self.size), stride=(1, self.hop))[:, 0, 0]
        total[:, first * self.hop : first * self.hop + length] += added

    def normalised(self, total: torch.Tensor, count: int) -> torch.Tensor:
        """The `total` of `count` frames over the power of their windows: `[B, count * hop]`."""
        hops = -(-self.size // self.hop)
        square = F.pad(self.window(total.device).double().square(), (0, hops * self.hop - self.size)).view(hops, -1)
        sums = F.pad(square.cumsum(0), (0, 0, 1, 0))
        places = torch.arange(1, count + hops, device=total.device)
        power = sums[places.clamp(max=hops)] - sums[(places - count).clamp(min=0)]  # of the windows that lie there
        power = power.float().flatten()[: total.shape[1]].clamp_min(1e-2)
        return (total / power)[:, self.pad : self.pad + count * self.hop]


class _Head:
    """One inverse STFT, for the bins between two fades."""

    def __init__(self, size: int, low: float, high: float, fade: tuple[float, float]) -> None:
        self.stft = _Stft(size)
        hertz = self.stft.hertz
        share = _risen(hertz, low, fade[0]) - _risen(hertz, high, fade[1])
        used = np.flatnonzero(share > 0)
        self.first, self.count, self.hertz = int(used[0]), len(used), hertz[used]
        self.lobe = np.full(len(used), _LOBE * _RATE / size)
        self.turns = used * _HOP / size % 1  # of each bin's frequency in a hop
        # A sine of amplitude 1 has a peak of size / 4 behind a Hann window; bands are measured against it.
        self._gain = torch.from_numpy((share[used] * size / 4).astype(np.float32))

    def overlap_add(self, total: torch.Tensor, spectrum: torch.Tensor, first: int) -> None:
        """Add the frames of a complex spectrum `[B, t, count]`, as `_Stft.overlap_add`."""
        above = self.stft.n_fft // 2 + 1 - self.first - self.count
        self.stft.overlap_add(total, F.pad(spectrum * _kept(self._gain, spectrum.device), (self.first, above)), first)


def _consistent(sound: torch.Tensor, wanted: torch.Tensor, bank: Bank) -> torch.Tensor:
    """The sound `[B, N]` after one round towards the bands `[B, T, count]` of a bank."""
    stft, spread = _stft(bank), _spread(bank, sound.device)
    filters = band_filters(bank, sound.device) * stft.decimation  # of a window of so many fewer samples
    padded = F.pad(_decimated(sound, stft.decimation), (stft.pad, stft.size - stft.hop - stft.pad))
    frames, window, change = padded.unfold(1, stft.size, stft.hop), stft.window(sound.device), torch.zeros_like(padded)
    for first in range(0, wanted.shape[1], _AT_ONCE):
        piece = slice(first, first + _AT_ONCE)
        spectrum = torch.fft.rfft(frames[:, piece] * window, n=stft.n_fft)
        found = (spectrum[..., : len(filters)].abs() @ filters).log().clamp_min(BAND_FLOOR)
        gain = ((wanted[:, piece] - found).clamp(-_MOST, _MOST) @ spread).exp()
        stft.overlap_add(change, spectrum[..., : gain.shape[-1]] * (gain - 1), first)
    return sound + _interpolated(stft.normalised(change, wanted.shape[1]), stft.decimation)


def _decimated(sound: torch.Tensor, factor: int) -> torch.Tensor:
    """One sample in `factor` of `[B, N]`, behind a low-pass."""
    if factor == 1:
        return sound
    taps = _low_pass(factor, sound.device)
    return F.conv1d(sound[:, None], taps, stride=factor, padding=len(taps[0, 0]) // 2)[:, 0]


def _interpolated(sound: torch.Tensor, factor: int) -> torch.Tensor:
    """`[B, N]` at the rate before it was decimated: `[B, factor * N]`, by a filter for each sample in `factor`."""
    if factor == 1:
        return sound
    taps = F.pad(factor * _low_pass(factor, sound.device)[0, 0], (0, factor - 1)).view(-1, factor)
    samples = F.conv1d(sound[:, None], taps.flip(0).T[:, None], padding=len(taps) // 2)
    return samples.transpose(1, 2).flatten(1)


def _since_beginning(turns: torch.Tensor, into: int) -> torch.Tensor:
    """What phases `[B, t, bins]` of a stretch of a block that begins `into` it have turned since the block began, by
    what they turn in each hop; a block ends with whole turns."""
    before = F.pad(turns.cumsum(1), (0, 0, 1, 0))  # [B, t + 1, bins]
    whole = into + turns.shape[1] == PHASE_BLOCK
    if into and whole:  # its beginning was cut away: it ends as it should
        return before[:, :-1] - before[:, -1:]
    phases = before[:, :-1]
    if whole:
        missed = torch.remainder(0.5 - before[:, -1:], 1.0) - 0.5
        phases = phases + missed * torch.arange(PHASE_BLOCK, device=turns.device)[:, None] / PHASE_BLOCK
    return phases


def _turns(wanted: torch.Tensor) -> torch.Tensor:
    """Turns in a hop, float64 `[B, T, bins]`: of the partial to which a bin belongs, or of the bin's own frequency."""
    fine = _fine(wanted.device)
    low = (_SHARPNESS * wanted[..., : _FINE.count]).exp() * fine["spacing"]
    mode = ((low * fine["centres"]) @ fine["kernel"]) / (low @ fine["kernel"] + 1e-30)  # from the centre of each band
    start = fine["hertz"].expand(*mode.shape[:2], -1)
    hertz = start
    for _ in range(_SHIFTS):
        below = (torch.searchsorted(fine["centres"], hertz.contiguous()) - 1).clamp(0, _FINE.count - 2)
        left, right = fine["centres"][below], fine["centres"][below + 1]
        share = ((hertz - left) / (right - left)).clamp(0, 1)
        hertz = torch.lerp(mode.gather(-1, below), mode.gather(-1, below + 1), share)
    beyond = torch.where((hertz - start).abs() < fine["lobe"], hertz - start, 0.0).double()
    own = torch.from_numpy(_bins("turns")).to(wanted.device)
    return own + F.pad(beyond * (_HOP / _RATE), (int(fine["first"]), len(own) - int(fine["first"]) - beyond.shape[-1]))


class _Lone(NamedTuple):
    """Of the bins above the fine bands, each `[B, T, bins]`: how many turns in a hop their partial makes beyond their
    own frequency, how certain it is that there is one, and the height of its main lobe over theirs."""

    beyond: torch.Tensor
    certain: torch.Tensor
    lobe: torch.Tensor


def _lone_partials(coarse: torch.Tensor) -> _Lone:
    """Partials that stand alone among the coarse bands `[B, T, count]`: whistles, beeps, upper partials of high notes.

    Two bands share what lies between their centres, so its frequency is their centroid; a band far above the second
    next on either side holds nothing else.
    """
    own = _coarse(coarse.device)
    padded = F.pad(coarse, (2, 2), value=BAND_FLOOR)
    peak = (coarse >= padded[..., 1:-3]) & (coarse >= padded[..., 3:-1])
    contrast = coarse - torch.maximum(padded[..., :-4], padded[..., 4:])
    certain = ((contrast - _ALONE[0]) / (_ALONE[1] - _ALONE[0])).clamp(0, 1) * peak * (coarse > BAND_FLOOR + _ALONE[1])
    weight = F.pad(coarse.exp() * own["spacing"], (1, 1))
    moment = F.pad(coarse.exp() * own["spacing"] * own["centres"], (1, 1))
    centroid = moment.unfold(-1, 3, 1).sum(-1) / weight.unfold(-1, 3, 1).sum(-1)
    certain, owner = F.max_pool1d(certain, 3, 1, 1, return_indices=True)  # bands beside a peak are part of it
    near = own["near"].long()
    certain = certain[..., near] * own["above"]
    distance = centroid.gather(-1, owner)[..., near] - own["hertz"]
    lobe = _lobe(distance, own["lobe"], _FOOT)
    beyond = torch.where(distance.abs() < own["lobe"], distance, 0.0) * (certain > 0)
    return _Lone(beyond.double() * (_HOP / _RATE), certain, torch.lerp(torch.ones_like(lobe), lobe, certain))


class _Harmonics(NamedTuple):
    """Of a voice above the fine bands, each `[B, t, bins]`: the turns of the harmonic nearest to a bin since the block
    began, its voicing, and the height of its main lobe."""

    turns: torch.Tensor
    voicing: torch.Tensor
    lobe: torch.Tensor


def _harmonics(pitch: Pitch, into: int) -> _Harmonics:
    """The harmonics of a pitch in a stretch of a block: multiples of one phase, the pulses of a voice."""
    own = _coarse(pitch.hertz.device)
    number = torch.round(own["hertz"] / pitch.hertz)
    turns = number * _since_beginning(pitch.hertz * (_HOP / _RATE), into)
    distance = (number * pitch.hertz - own["hertz"]).float()
    return _Harmonics(turns, pitch.voicing * own["voiced"], _lobe(distance, own["lobe"], _VOICE_FOOT))


def _lobe(distance: torch.Tensor, width: torch.Tensor, foot: float) -> torch.Tensor:
    """Height of a main lobe of half `width`, in Hz, of Hann's window, at a `distance` from its top; at least `foot`."""
    bins = (distance / width * _LOBE).abs()
    hann = torch.sinc(bins) + (torch.sinc(bins - 1) + torch.sinc(bins + 1)) / 2
    return torch.where(bins < _LOBE, hann, 0.0).clamp_min(foot)


def _risen(hertz: np.ndarray, middle: float, width: float) -> np.ndarray:
    """A raised cosine from 0 to 1 over `width` Hz around `middle`; 1 everywhere for a middle of 0."""
    if middle == 0:
        return np.ones_like(hertz)
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((hertz - middle) / width + 0.5, 0, 1))


# Samples of the window, the Hz where a head fades in and out, and over how many: low notes need long windows.
_HEADS = (
    _Head(4800, 0.0, 800.0, (0.0, 100.0)),
    _Head(1920, 800.0, 4000.0, (100.0, 400.0)),
    _Head(960, 4000.0, 30_000.0, (400.0, 400.0)),
)


@lru_cache(maxsize=4)
def _stft(bank: Bank) -> _Stft:
    """Of a bank, at the lowest rate whose first alias leaves the bank an octave and a half for a low-pass: that of low
    bands, with their long window, costs a fourth of the other in place of four times as much."""
    decimation = int(_RATE // (4 * bank.high))
    return _Stft(bank.n_fft, PADDING, max(1, decimation))


@lru_cache(maxsize=2)
def _low_pass(factor: int, device: torch.device) -> torch.Tensor:
    """Taps `[1, 1, 12 * factor + 1]`: even to 1e-4 in the lower half of what one sample in `factor` can hold, and 80 dB
    down where its aliases come from."""
    from scipy.signal import firwin

    taps = firwin(12 * factor + 1, 1 / factor, window=("kaiser", 8.0))
    return torch.from_numpy(taps).float().to(device)[None, None]


def _bins(attribute: str) -> np.ndarray:
    """Of the bins of all heads: "hertz", "turns" or "lobe"."""
    return np.concatenate([getattr(head, attribute) for head in _HEADS])


@lru_cache(maxsize=2)
def _envelope(device: torch.device) -> torch.Tensor:
    """`[bands, bins]`: weights of the bands around each bin, linear between their centres; of the first bank that
    reaches there, which fades into the next at its top."""
    hertz, centres = _bins("hertz"), BAND_FEATURES.centres
    starts = np.cumsum([0, *(bank.count for bank in BANKS)])
    weights, share = np.zeros((len(centres), len(hertz))), np.ones(len(hertz))
    for bank, start, end in zip(BANKS, starts, starts[1:], strict=False):
        own = centres[start:end]
        fade = np.clip((hertz / own[-1] - _FADED) / (1 - _FADED), 0, 1) if end < len(centres) else 0.0
        weights[start:end] = [share * (1 - fade) * np.interp(hertz, own, row) for row in np.eye(bank.count)]
        share = share * fade
    return torch.from_numpy(weights).float().to(device)


@lru_cache(maxsize=4)
def _spread(bank: Bank, device: torch.device) -> torch.Tensor:
    """`[count, bins]`: from bands to the bins of the bank's own STFT, up to where the bank ends."""
    hertz, centres = _stft(bank).hertz, bank.edges[1:-1]
    if bank is _FINE:  # the other bank says what is above
        hertz = hertz[hertz <= bank.high]
    return torch.from_numpy(np.stack([np.interp(hertz, centres, row) for row in np.eye(bank.count)])).float().to(device)


@lru_cache(maxsize=2)
def _fine(device: torch.device) -> dict[str, torch.Tensor]:
    """What the mean shift needs: the fine bands, and the bins that lie among them, which stand in a row."""
    centres, hertz = _FINE.edges[1:-1], _bins("hertz")
    used = np.flatnonzero((hertz >= centres[0]) & (hertz <= _FINE_HZ))
    spacing = np.gradient(centres)
    width = np.maximum(_KERNEL_HZ, _KERNEL_BANDS * spacing)
    kernel = np.exp(-0.5 * ((centres[:, None] - centres) / width) ** 2)
    arrays = {"centres": centres, "spacing": spacing, "kernel": kernel, "hertz": hertz[used],
              "lobe": _bins("lobe")[used], "first": used[0]}  # fmt: skip
    return {name: torch.as_tensor(array, dtype=torch.float32, device=device) for name, array in arrays.items()}


@lru_cache(maxsize=2)
def _coarse(device: torch.device) -> dict[str, torch.Tensor]:
    """What lone partials and harmonics need: the coarse bands, and of each bin the nearest of them."""
    centres, hertz = BANKS[1].edges[1:-1], _bins("hertz")
    near = np.abs(hertz[:, None] - centres).argmin(1)
    arrays = {"centres": centres, "spacing": np.gradient(centres), "hertz": hertz, "lobe": _bins("lobe"),
              "near": near, "above": hertz > _FINE_HZ,
              "voiced": (hertz > _FINE_HZ) * (1 - _risen(hertz, *_HARMONICS_END))}  # fmt: skip
    return {name: torch.as_tensor(array, dtype=torch.float32, device=device) for name, array in arrays.items()}


@lru_cache(maxsize=2)
def _beginning(device: torch.device) -> torch.Tensor:
    """Turns `[bins]` at which the phases of a block begin: of tones that begin where a frame has its middle, the lower
    ones a little earlier. So the bins of one partial agree, in every block and in every head."""
    low = np.minimum(_bins("hertz"), _FINE.high)
    half_a_window = np.concatenate([np.arange(head.first, head.first + head.count) / 2 for head in _HEADS])
    return torch.from_numpy(half_a_window - _DELAY * low * (1 - low / _FINE.high / 2)).to(device)


@lru_cache(maxsize=4)
def _noise(block: int, device: torch.device) -> torch.Tensor:
    """Turns `[PHASE_BLOCK, bins]` that make the phases of a block random above the fine bands, 0 below."""
    hertz = _bins("hertz")
    words = np.random.Philox(key=block).random_raw(-(-PHASE_BLOCK * len(hertz) // 4))
    turns = words.view(np.uint16)[: PHASE_BLOCK * len(hertz)].reshape(PHASE_BLOCK, -1) / 65536
    return torch.from_numpy(np.where(hertz > _FINE_HZ, turns, 0.0)).to(device)


@lru_cache(maxsize=16)
def _kept(constant: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A constant of this module on a device: moved there once."""
    return constant.to(device)
