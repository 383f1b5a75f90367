"""The ffmpeg executable, for reading what libsndfile does not know."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import IO

from noisebook.errors import AudioError

__all__ = ["decode_to_au"]

# What ffmpeg may open. Playlists (hls, concat, dash) are left out: they name further files to read.
_FORMATS = (
    "3gp,aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,iff,m4a,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,"
    "mpegts,mxf,nut,ogg,oma,rm,shn,tak,truehd,tta,voc,w64,wav,webm,wv"
)


def decode_to_au(path: Path, target: IO[bytes]) -> None:
    """Write the first audio stream of a file as 32-bit float AU, rate and channels kept.

    AU is a header and samples, without a length that would have to be known before the end. Only `path`
    itself is opened: no network and no other file, whatever the file names.

    Args:
        path: a regular file; some formats (an m4a with its index at the end) cannot be read from a pipe.
        target: a file with a descriptor, written from its current position.

    Raises:
        AudioError: ffmpeg is not on the PATH, or does not read the file.
    """
    executable = shutil.which("ffmpeg")
    if executable is None:
        raise AudioError("ffmpeg, which might, is not on the PATH: install it, or convert the file to WAV")
    arguments = ["-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS]
    arguments += ["-i", f"file:{path.absolute()}", "-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    result = subprocess.run(
        [executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=target,
        stderr=subprocess.PIPE,
        check=False,
    )
    if result.returncode:
        raise AudioError(f"ffmpeg: {_complaint(result.stderr.decode(errors='replace'))}")


def _complaint(stderr: str) -> str:
    """The first line of what ffmpeg said, which names the cause, without addresses and cut to size."""
    line = next((line for line in stderr.splitlines() if line.strip()), "no reason given")
    return re.sub(r"^\[[^]]*\] ", "", line.strip())[:100]
