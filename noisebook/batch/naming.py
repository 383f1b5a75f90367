"""Which files of a tree are taken, and what the results are called.

A result lies where its source lies and has its name with another suffix: a/b.wav -> a/b.ddcm. Where two sources would
get one name, both keep their suffix: a/b.wav and a/b.mp3 -> a/b.wav.ddcm and a/b.mp3.ddcm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

__all__ = ["SOUND_SUFFIXES", "STREAM_SUFFIX", "counterparts", "suffix_of", "targets"]

STREAM_SUFFIX = ".ddcm"
# Of libsndfile, and of ffmpeg behind it (`audio.io`). Others are not tried: a corpus holds notes and covers too.
_KINDS = """
    wav flac ogg oga opus mp3 aiff aif aifc caf w64 au snd rf64 voc sph
    mpga mp2 m4a m4b aac wma ac3 amr ape wv tta mka mpc dsf tak shn 3gp mp4 mov mkv webm
"""
SOUND_SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())


def suffix_of(name: str) -> str:
    """In small letters, with its dot; "" where there is none."""
    return PurePosixPath(name).suffix.lower()


def targets(sources: Iterable[str], suffix: str) -> dict[str, str]:
    """The name of the result of each source; no two are the same."""
    named = {source: str(PurePosixPath(source).with_suffix(suffix)) for source in sources}
    while True:
        often = Counter(named.values())
        clashing = [name for name, target in named.items() if often[target] > 1 and target != name + suffix]
        if not clashing:
            return named
        # A longer name may meet another one, which then is lengthened too.
        named.update((name, name + suffix) for name in clashing)


def counterparts(source: str, others: Collection[str]) -> list[str]:
    """Streams and sounds among `others` that can be the result of a source: of its name with or without its suffix."""
    stems = (str(PurePosixPath(source).with_suffix("")), source)
    suffixes = (STREAM_SUFFIX, *sorted(SOUND_SUFFIXES))
    return [stem + suffix for stem in stems for suffix in suffixes if stem + suffix in others]
