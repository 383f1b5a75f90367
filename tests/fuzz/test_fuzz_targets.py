"""The promises of `fuzz/targets.py`, kept for the committed corpus and for mutations of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import targets
from fuzz.corpus import FOLDER, corpus_of, seeds
from noisebook.coding import container
from noisebook.errors import NotAStream

EXAMPLES = {"codebook": 80, "container": 150, "decode": 60, "image": 60, "integers": 150, "symbols": 150}
NASTY = (b"\0", b"\xff", b"\x80", b"\x7f", b"\xff" * 6 + b"\x7f", b"\xff" * 6 + b"\x3f", b"\x80" * 7, b"\0" * 16)

Edit = Callable[[bytes], bytes]


def overwrite(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


@st.composite
def mutated(draw: st.DrawFn, target: str) -> bytes:
    """An input of the corpus after one to four edits: bits flipped, pieces cut out, doubled, spliced, overwritten."""
    corpus = corpus_of(target)
    data = draw(st.sampled_from(corpus))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        end = draw(st.integers(place, len(data)))
        data = draw(
            st.sampled_from(
                (
                    data[:place],
                    data[:place] + data[end:],
                    data[:end] + data[place:],
                    data[:place] + draw(st.sampled_from(corpus))[place:],
                    overwrite(data, place, draw(st.sampled_from(NASTY))),
                    overwrite(data, place, bytes([1 << draw(st.integers(0, 7))])),
                    overwrite(data, place, draw(st.binary(min_size=1, max_size=4))),
                    data[:place] + draw(st.sampled_from(NASTY)) + data[place:],
                )
            )
        )
    return data


@pytest.mark.parametrize("target", targets.TARGETS)
def test_the_corpus_keeps_the_promises(target: str) -> None:
    corpus = corpus_of(target)
    assert corpus
    for data in corpus:
        targets.TARGETS[target](data)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_mutations_keep_the_promises(target: str) -> None:
    @settings(max_examples=EXAMPLES[target], deadline=None, suppress_health_check=list(HealthCheck))
    @given(mutated(target))
    def holds(data: bytes) -> None:
        targets.TARGETS[target](data)

    holds()


@pytest.mark.parametrize("target", targets.TARGETS)
def test_any_bytes_keep_the_promises(target: str) -> None:
    @settings(max_examples=EXAMPLES[target] // 2, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=120), st.sampled_from([b"", b"\xdd\xc3", b"\xdd\xc3\0\1\0\x03\x64\0"]))
    def holds(tail: bytes, start: bytes) -> None:
        targets.TARGETS[target](start + tail)

    holds()


def test_every_seed_is_in_the_corpus_and_decodes() -> None:
    """An encoder that no longer writes a seed has changed the format, or the seed needs another name."""
    for folder, name, data in seeds():
        assert (FOLDER / folder / name).is_file(), "run: python -m fuzz.corpus"
        if folder == "streams":
            assert targets.resealed(data) == data


def test_a_broken_promise_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = (FOLDER / "streams" / "many").read_bytes()
    monkeypatch.setattr(container, "parse_header", lambda data: (_ for _ in ()).throw(IndexError))
    with pytest.raises(IndexError):
        targets.container_stream(stream)
    monkeypatch.undo()
    monkeypatch.setattr(targets.api, "decompress", lambda *_, **__: targets.ToyBackend)
    with pytest.raises(AttributeError):
        targets.decode(stream)


def test_a_stream_is_resealed() -> None:
    stream = (FOLDER / "streams" / "many").read_bytes()
    header, size = container.parse_header(stream)
    damaged = stream[:size] + bytes([stream[size] ^ 1]) + stream[size + 1 :]
    sealed = targets.resealed(damaged)
    assert sealed[:-2] == damaged[:-2]
    assert sealed != damaged
    assert container.parse_header(sealed)[0] == header
    assert targets.resealed(b"RIFF") == b"RIFF"
    with pytest.raises(NotAStream):
        container.parse_header(b"RIFF")
