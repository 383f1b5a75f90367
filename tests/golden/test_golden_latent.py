"""What the codes of a quantised latent are on the wire, pinned: a synthetic codebook, no model, no fitting.

A value that changes means that streams written before no longer decode. Never replace one to make a test pass: give the
new meaning a new wire id, and keep the old one as it is (docs/format.md).
"""

from __future__ import annotations

import pytest
import torch

from noisebook.codec.vq import read_codes, write_codes
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Header, LatentCode, LatentRule
from noisebook.quantizers.codebook import LatentCodebook
from noisebook.quantizers.config import CodebookConfig

FRAMES, CHANNELS = 7, 2
FLAT = LatentCodebook(
    CodebookConfig("frame", "kmeans", 6, channels=2, bins=2),
    {
        "table.0": torch.arange(24, dtype=torch.float16).view(6, 4) / 4,
        "counts.0": torch.tensor([70, 1, 9, 400, 20, 3], dtype=torch.int32),
        **{f"soft.{i}": torch.arange(1, n + 1, dtype=torch.int32) for i, n in enumerate((9, 6, 5, 4))},
    },
    {},
)
ADAPTIVE = LatentCodebook(
    CodebookConfig("position", "adaptive", 4, channels=2, bins=2, stages=2, bits_per_frame=5.0),
    {
        "table.0": torch.arange(8, dtype=torch.float16).view(4, 2),
        "table.1": torch.arange(8, dtype=torch.float16).view(4, 2) / 8,
        "counts.0": torch.tensor([30, 50, 20], dtype=torch.int32),
        "counts.1": torch.tensor([10, 20, 30, 40], dtype=torch.int32),
        "counts.2": torch.tensor([900, 50, 25, 25], dtype=torch.int32),
    },
    {},
)

#         codebook, rule, bytes
PINNED = {
    "hard": (FLAT, "hard", "1fcc4b115347"),
    "soft": (FLAT, "soft", "1fcc4b115346de47ae4b076e94817be9a44b7134e05fe98041b9e6b99947426c4b4672ca81e6ea"),
    "adaptive": (ADAPTIVE, "hard", "04cce7e08439176cd0bbe054e949"),
}


def codes_of(codebook: LatentCodebook, rule: str) -> list[torch.Tensor]:
    """Some codes `[channels, positions]` of every stage; 0 where they mean nothing."""
    codes: list[torch.Tensor] = []
    for index, stage in enumerate(codebook.stages(rule)):
        count = CHANNELS * stage.positions(FRAMES)
        code = ((torch.arange(count) * (index + 3) + index) ** 2 % 11 % stage.size).view(CHANNELS, -1)
        present = codebook.present(codes, rule)
        codes.append(code if present is None else code * present)
    return codes


@pytest.mark.parametrize("name", PINNED)
def test_codes_to_bytes_and_back(name):
    codebook, rule, pinned = PINNED[name]
    codes = codes_of(codebook, rule)
    assert write_codes(codes, codebook, rule).hex() == pinned
    found = read_codes(bytes.fromhex(pinned), codebook, CHANNELS, FRAMES, rule)
    assert all(torch.equal(a, b) for a, b in zip(found, codes, strict=True))


def test_fingerprints_of_codebooks():
    """A codebook whose fingerprint changes is another one to every stream that was made with it."""
    assert FLAT.fingerprint.hex()[:16] == "caae3af73efbd4bf"
    assert ADAPTIVE.fingerprint.hex()[:16] == "291c036e9db765fb"


def test_a_whole_stream():
    payload = container.sized(bytes.fromhex(PINNED["hard"][2]))
    latent = LatentCode(LatentRule.HARD, FLAT.fingerprint[:4])
    header = Header(b"\x5a\x17", 0, 44100, ChannelMode.DUAL, 12_000, -6, latent=latent)
    assert container.pack(header, [payload]).hex() == "ddc35a170017e05dfa11caae3af7061fcc4b115347fd12"


def test_the_latent_that_codes_mean():
    codes = [code[:1] for code in codes_of(FLAT, "hard")]
    latent = FLAT.decode(codes, FRAMES)
    assert latent[0, :, :3].tolist() == [
        [[0.0, 0.25], [3.0, 3.25], [3.0, 3.25]],
        [[0.5, 0.75], [3.5, 3.75], [3.5, 3.75]],
    ]
