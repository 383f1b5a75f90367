"""The codec of quantised latents on a small random model: streams, lengths, channels, damage."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from math import log2

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.codec import encoder, vq
from noisebook.codec.decoder import Decoder
from noisebook.codec.encoder import compress_with_codebook as compress
from noisebook.codec.encoder import target_latent
from noisebook.codec.options import CodebookOptions
from noisebook.codec.stream import Stream
from noisebook.codec.vq import write_codes
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Header, LatentCode, LatentRule
from noisebook.errors import (
    AudioError,
    ConfigError,
    CorruptStream,
    ModelError,
    StreamError,
    TruncatedStream,
    UnsupportedStream,
    WrongCodebook,
    WrongModel,
)
from noisebook.quantizers.codebook import LatentCodebook
from noisebook.quantizers.fitting import fit
from tests.mels import MelModel

KINDS = {
    "clip gaussian": {"unit": "clip", "method": "gaussian", "size": 32, "clip_frames": 16},
    "frame kmeans": {"unit": "frame", "method": "kmeans", "size": 16},
    "position kmeans": {"unit": "position", "method": "kmeans", "size": 16},
    "residual": {"unit": "frame", "method": "residual", "size": 8, "stages": 3},
    "product": {"unit": "frame", "method": "product", "size": 8, "groups": 4},
    "hierarchical": {"unit": "frame", "method": "hierarchical", "size": 8, "stages": 2, "block_frames": 4},
    "adaptive": {"unit": "frame", "method": "adaptive", "size": 8, "stages": 3, "bits_per_frame": 6.0},
}
CODED = [(name, rule) for name in KINDS for rule in ("hard", "soft") if rule == "hard" or len(KINDS[name]) < 4]


def decompress(data: bytes, *, backend, codebook: LatentCodebook) -> Waveform:
    return Decoder(data, backend=backend, codebook_for=lambda _: codebook).sound()


def decode_latent(data: bytes, *, backend, codebook: LatentCodebook) -> torch.Tensor:
    return Decoder(data, backend=backend, codebook_for=lambda _: codebook).latent()


@pytest.fixture(scope="module")
def books(backend) -> dict[str, LatentCodebook]:
    generator = torch.Generator().manual_seed(0)
    latents = [torch.randn(1, 8, 64, 16, generator=generator) for _ in range(2)]
    model = backend.info.autoencoder.hex()
    return {name: fit(latents, model=model, **kind) for name, kind in KINDS.items()}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def book(books) -> LatentCodebook:
    return books["frame kmeans"]


def ideal_bits(codes, codebook: LatentCodebook, frames: int, rule: str) -> float:
    """Of the codes that mean something, by the counts of the codebook."""
    bits = 0.0
    for index, (stage, code) in enumerate(zip(codebook.stages(rule), codes, strict=True)):
        present = codebook.present(codes[:index], rule)
        total = sum(stage.counts)
        bits += sum(log2(total / stage.counts[i]) for i in (code if present is None else code[present]).flatten())
    return bits


@pytest.mark.parametrize(("name", "rule"), CODED)
def test_every_codebook_round_trips_to_its_own_quantised_latent_at_its_own_size(name, rule, books, backend, chirp):
    codebook, waveform = books[name], Waveform(chirp, 16000)
    stream = compress(waveform, backend=backend, codebook=codebook, options=CodebookOptions(rule=rule))
    decoder = Decoder(stream, backend=backend, codebook_for=lambda _: codebook)
    header, decoded = decoder.header, decoder.latent()
    assert header.latent == LatentCode(LatentRule[rule.upper()], codebook.fingerprint[:4])
    target = target_latent(waveform, header, backend=backend)
    codes = codebook.encode(target, rule)
    assert torch.equal(decoded, codebook.decode(codes, target.shape[2], rule))
    fixed = container.overhead(header, 1) + 1
    ideal = ideal_bits(codes, codebook, target.shape[2], rule) / 8
    assert fixed + ideal - 1 < len(stream) <= fixed + ideal + 2 + (ideal > 126)  # zeros at the end are not written
    sound = decompress(stream, backend=backend, codebook=codebook)
    assert sound.samples.shape == chirp.shape
    assert np.array_equal(sound.samples, decompress(stream, backend=backend, codebook=codebook).samples)


def test_one_index_a_clip_takes_twenty_bytes(backend):
    """Ten seconds: everything but the index is 18 bytes; 1024 atoms add two."""
    header = Header(b"ab", 0, 48000, ChannelMode.MONO, 480000, latent=LatentCode(LatentRule.HARD, b"abcd"))
    assert container.overhead(header, 1) + len(container.sized(b"xy")) == 20


@pytest.mark.parametrize("count", [1, 2, 639, 640, 641, 16001])
def test_length_is_exact(count, book, backend, chirp):
    waveform = Waveform(chirp[:, :count], 16000)
    decoded = decompress(compress(waveform, backend=backend, codebook=book), backend=backend, codebook=book)
    assert decoded.samples.shape == (1, count)
    assert np.isfinite(decoded.samples).all()


@pytest.mark.parametrize("rate", [1000, 8000, 44100, 96000, 12345])
def test_sample_rate_is_restored(rate, book, backend, chirp):
    waveform = Waveform(chirp[:, :3000], rate)
    decoded = decompress(compress(waveform, backend=backend, codebook=book), backend=backend, codebook=book)
    assert (decoded.sample_rate, decoded.samples.shape) == (rate, waveform.samples.shape)


@pytest.mark.parametrize(("channels", "mode"), [("auto", ChannelMode.IMAGE), ("dual", ChannelMode.DUAL)])
def test_stereo(channels, mode, book, backend, chirp):
    stereo = Waveform(np.concatenate([chirp, 0.5 * chirp[:, ::-1]]), 16000)
    options = CodebookOptions(channels=channels)
    stream = compress(stereo, backend=backend, codebook=book, options=options)
    assert container.parse_header(stream)[0].channel_mode == mode
    assert decompress(stream, backend=backend, codebook=book).samples.shape == stereo.samples.shape


def test_more_than_two_channels_are_refused(book, backend, chirp):
    with pytest.raises(AudioError, match="3 channels"):
        compress(Waveform(np.repeat(chirp, 3, 0), 16000), backend=backend, codebook=book)


def test_segments_are_independent_and_join(book, backend, monkeypatch, chirp):
    monkeypatch.setattr("noisebook.codec.timeline.SEGMENT_FRAMES", 16)
    monkeypatch.setattr("noisebook.codec.timeline._SHORTEST_SEGMENT", 8)
    done = []
    stream = compress(Waveform(chirp, 16000), backend=backend, codebook=book, on_step=lambda *step: done.append(step))
    assert done == [(1, 2), (2, 2)]
    opened = Stream(stream, backend.info)
    header, payloads = opened.header, opened.contents().choices
    assert list(opened.timeline.segments()) == [(0, 16), (16, 38)]
    assert len(stream) == container.overhead(header, 2) + sum(map(len, payloads))
    latent = decode_latent(stream, backend=backend, codebook=book)
    assert latent.shape == (1, 8, 38, 16)
    swapped = container.pack(header, [payloads[0], container.sized(b"\0")])
    with pytest.raises(CorruptStream):  # of the second segment: codes do not end in a zero
        decode_latent(swapped, backend=backend, codebook=book)


def test_a_bitrate_is_the_budget_of_an_adaptive_codebook(books, backend, chirp):
    sound, sizes = Waveform(chirp, 16000), []
    for bitrate in (60, 120, 220):
        stream = api.compress_with_codebook(sound, backend=backend, codebook=books["adaptive"], bitrate=bitrate)
        sizes.append(8 * (len(stream) - 18) / 1.52)  # 38 frames
        assert sizes[-1] <= bitrate + 16
    assert sizes == sorted(set(sizes))
    with pytest.raises(ConfigError, match="adaptive"):
        api.compress_with_codebook(sound, backend=backend, codebook=books["residual"], bitrate=100)


def test_decoding_in_another_process_gives_the_same_bytes(book, bands, tiny_model, chirp, tmp_path):
    book = replace(book, config=replace(book.config, model=bands.info.autoencoder.hex()))
    stream = compress(Waveform(chirp, 16000), backend=bands, codebook=book)
    (tmp_path / "a.ddcm").write_bytes(stream)
    book.save(tmp_path / "book.safetensors")
    code = (
        "import sys; from noisebook.cli import main; "
        "main(['decompress', 'a.ddcm', 'b.wav', '--codebook', 'book.safetensors', '--quiet', '--threads', '1', "
        f"'--device', 'cpu', '--model', {str(tiny_model)!r}])"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    write(tmp_path / "here.wav", decompress(stream, backend=bands, codebook=book))
    torch.set_num_threads(threads)
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "here.wav").read_bytes()


# --- what is refused --------------------------------------------------------------------------------------------


def test_another_codebook_or_model_is_refused_by_name(book, books, backend, chirp):
    waveform, other = Waveform(chirp, 16000), MelModel(seed=1)
    stream = compress(waveform, backend=backend, codebook=book)
    with pytest.raises(WrongCodebook, match=book.fingerprint[:4].hex()):
        decompress(stream, backend=backend, codebook=books["residual"])
    with pytest.raises(WrongModel, match=backend.info.fingerprint[:2].hex()):
        decompress(stream, backend=other, codebook=book)
    with pytest.raises(ModelError, match=backend.info.autoencoder[:2].hex()):
        compress(waveform, backend=other, codebook=book)


def test_a_codebook_of_another_shape_is_refused(book, backend, chirp):
    shapeless = replace(book, config=replace(book.config, bins=8))
    with pytest.raises(ModelError, match="8 bins"):
        compress(Waveform(chirp, 16000), backend=backend, codebook=shapeless)


def test_a_rule_that_there_is_not_is_refused(book, backend, chirp):
    with pytest.raises(ConfigError):
        compress(Waveform(chirp, 16000), backend=backend, codebook=book, options=CodebookOptions(rule="mixed"))


def test_a_rule_that_the_codebook_lacks_is_refused(books, backend, chirp):
    codebook = books["residual"]
    with pytest.raises(ConfigError, match="one table"):
        compress(Waveform(chirp, 16000), backend=backend, codebook=codebook, options=CodebookOptions(rule="soft"))
    opened = Stream(compress(Waveform(chirp, 16000), backend=backend, codebook=codebook), backend.info)
    payloads = opened.contents().choices
    soft = replace(opened.header, latent=LatentCode(LatentRule.SOFT, codebook.fingerprint[:4]))
    with pytest.raises(UnsupportedStream, match="one table"):
        decompress(container.pack(soft, payloads), backend=backend, codebook=codebook)


def test_one_decoder_reads_both_codecs_and_needs_the_codebook_of_the_one(book, backend, chirp):
    waveform = Waveform(chirp, 16000)
    latent, noise = compress(waveform, backend=backend, codebook=book), encoder.compress(waveform, backend=backend)
    with pytest.raises(UnsupportedStream, match="quantised latent"):
        Decoder(latent, backend=backend).sound()
    asked = []

    def codebook_for(fingerprint: bytes) -> LatentCodebook:
        asked.append(fingerprint)
        return book

    both = [Decoder(data, backend=backend, codebook_for=codebook_for).sound() for data in (latent, noise)]
    assert asked == [book.fingerprint[:4]]
    assert [api.read_info(data).codec for data in (latent, noise)] == ["vq", "ddcm"]
    assert np.array_equal(both[0].samples, decompress(latent, backend=backend, codebook=book).samples)
    assert np.array_equal(both[1].samples, Decoder(noise, backend=backend).sound().samples)


def test_damage_is_named(books, backend, chirp):
    codebook = books["clip gaussian"]
    stream = compress(Waveform(chirp[:, :9000], 16000), backend=backend, codebook=codebook)
    for cut in range(len(stream)):
        with pytest.raises(StreamError):
            decompress(stream[:cut], backend=backend, codebook=codebook)
    with pytest.raises(TruncatedStream):
        decompress(stream[:-1], backend=backend, codebook=codebook)
    with pytest.raises(CorruptStream):
        decompress(stream + b"\0", backend=backend, codebook=codebook)
    for bit in range(8 * min(len(stream), 40)):
        damaged = bytearray(stream)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StreamError):
            decompress(bytes(damaged), backend=backend, codebook=codebook)


def test_weights_that_leave_nothing_for_the_nearest_atom_are_corrupt(book, backend):
    codes = [
        torch.full((1, stage.positions(19)), stage.size - 1 if stage.name.startswith("weight") else 0)
        for stage in book.stages("soft")
    ]
    code = LatentCode(LatentRule.SOFT, book.fingerprint[:4])
    header = Header(backend.info.fingerprint[:2], 0, 16000, ChannelMode.MONO, 12_000, latent=code)
    data = container.pack(header, [container.sized(write_codes(codes, book, "soft"))])
    with pytest.raises(CorruptStream, match="nearest"):
        decode_latent(data, backend=backend, codebook=book)


def test_codes_in_another_spelling_are_corrupt(books, backend, chirp):
    codebook = books["position kmeans"]
    opened = Stream(compress(Waveform(chirp, 16000), backend=backend, codebook=codebook), backend.info)
    header, codes = opened.header, container.unsized(opened.contents().choices[0])
    for changed in (codes + b"\0", codes + b"\1", codes + b"\xff\xff"):
        with pytest.raises(CorruptStream):
            decompress(container.pack(header, [container.sized(changed)]), backend=backend, codebook=codebook)


@pytest.mark.parametrize(("name", "rule"), CODED)
def test_any_bytes_in_a_whole_stream_are_a_latent_or_an_error_by_name(name, rule, books, backend):
    codebook, generator = books[name], np.random.default_rng(0)
    code = LatentCode(LatentRule[rule.upper()], codebook.fingerprint[:4])
    header = Header(backend.info.fingerprint[:2], 0, 16000, ChannelMode.MONO, 12_000, latent=code)
    decoded = 0
    for size in range(60):
        data = container.pack(header, [container.sized(generator.bytes(size))])
        try:
            latent = decode_latent(data, backend=backend, codebook=codebook)
        except StreamError:
            continue
        assert latent.shape == (1, 8, 19, 16)
        assert torch.isfinite(latent).all()
        decoded += 1
    assert decoded  # short messages are mostly somebody's


def test_an_enormous_promise_costs_nothing(book, backend, monkeypatch):
    """A stream of 30 bytes that claims 10^9 seconds: refused from its sizes, before any codebook or tensor."""
    code = LatentCode(LatentRule.HARD, book.fingerprint[:4])
    for count in (10**9 * 16000, 2**48):
        header = Header(backend.info.fingerprint[:2], 0, 16000, ChannelMode.MONO, count, latent=code)
        stream = container.pack(header, [b""] * 3)
        monkeypatch.setattr(vq, "segment_decoder", None)
        with pytest.raises(TruncatedStream):
            decompress(stream, backend=backend, codebook=book)
        assert api.read_info(stream, info=backend.info).intact is False


def test_a_stream_without_samples_is_corrupt(book, backend):
    header = Header(backend.info.fingerprint[:2], 0, 16000, ChannelMode.MONO, 0,
                    latent=LatentCode(LatentRule.HARD, book.fingerprint[:4]))  # fmt: skip
    with pytest.raises(CorruptStream, match="no samples"):
        decompress(container.pack(header, [container.sized(b"")]), backend=backend, codebook=book)


def test_info_tells_the_codec_with_and_without_the_model(book, backend, chirp):
    stream = compress(Waveform(chirp, 16000), backend=backend, codebook=book, options=CodebookOptions(rule="soft"))
    shown = api.read_info(stream)
    assert (shown.codec, shown.codebook, shown.rule) == ("vq", book.fingerprint[:4].hex(), "soft")
    assert (shown.preset, shown.params, shown.intact) == (None, None, None)
    whole = api.read_info(stream, info=backend.info)
    assert (whole.intact, whole.segments, whole.coded_steps) == (True, 1, 0)
    assert whole.payload_bytes == len(stream) - container.overhead(container.parse_header(stream)[0], 1)
    assert api.read_info(stream[:-1], info=backend.info).payload_bytes is None
