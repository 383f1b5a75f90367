"""Fitting codebooks to latents: tables one after the other on what is left over, then usage counts.

latents --split--> vectors --kmeans, ema--> tables --encode--> counts --measure--> record

k-means is Lloyd's iteration from k-means++ seeds (Arthur and Vassilvitskii 2007). Ours and not scipy's, whose seeding
compares all pairs again for every seed, hours for a thousand atoms.

Dynamic codebooks average the vectors that each atom attracts,

    N_k <- g N_k + (1 - g) n_k      m_k <- g m_k + (1 - g) sum of its vectors      e_k = m_k / N_k

(van den Oord et al. 2017, appendix A.1; Razavi et al. 2019), with atoms that attract next to nothing replaced by
vectors of the batch (Dhariwal et al. 2020; Zeghidour et al. 2021).

Of a VQ-VAE's objective `|x - x'|^2 + |sg(z) - e|^2 + beta |z - sg(e)|^2` the averages minimise the second term. The
third, the commitment of the encoder, which is frozen here, is reported. In soft training, where several atoms share a
vector z, it pulls z by `beta` of the way towards its average of atoms (the gradient step of size 1/2 on that term)
before the atoms learn from it; with hard cells such a pull would not change where they settle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log10
from typing import Any

import numpy as np
import torch

from noisebook.errors import ConfigError
from noisebook.options import OnStep
from noisebook.quantizers.chain import assigned, nearest, read, soft_assign, split, write
from noisebook.quantizers.codebook import LatentCodebook, ideal_bits
from noisebook.quantizers.config import DRAWN, SOFT_ATOMS, CodebookConfig

Latents = Sequence[torch.Tensor]
Tensors = dict[str, torch.Tensor]
_DEFAULTS: dict[str, dict[str, Any]] = {
    "residual": {"stages": 8},
    "product": {"groups": 8},
    "hierarchical": {"stages": 4, "block_frames": 8},
    "adaptive": {"stages": 8, "bits_per_frame": 40.0},
}
_DECAY = 0.99  # g
_COMMITMENT = 0.25  # beta
_BATCH, _STEPS = 4096, 600  # vectors to a step of the averages, and steps
_DEAD = 0.1  # share of the mean usage below which an atom is replaced
_ROWS_PER_ATOM = 256  # more vectors than this an atom are a waste of time (as in FAISS, Johnson et al. 2017)
_SEED_ROWS_PER_ATOM = 16
_ITERATIONS = 25
_ENOUGH = 1e-4  # relative gain of an iteration below which it stops
# An adaptive codebook must serve other budgets than its own: its counts are of all of these, in shares of that.
_BUDGETS = (0.1, 0.25, 0.5, 1.0, 2.0)
_ROUNDS = 3  # the adaptive method's choices follow from its counts, and its counts from its choices


def fit(
    latents: Latents,
    *,
    method: str,
    size: int,
    commitment: float | None = None,
    temperature: float | None = None,
    on_step: OnStep | None = None,
    **shape: Any,
) -> LatentCodebook:
    """A codebook for latents like these.

    Args:
        latents: each `[B, C, L, F']`, any L.
        method, size, shape: fields of `CodebookConfig`, `unit` among them; one that is not given, or None, is the
            method's default. A hierarchical codebook of little sound gets fewer atoms: its record says `asked_size`.
        commitment: ema: beta, by default 0.25, of the reported objective and of the pull in soft training.
        temperature: ema: of soft training, in Euclidean distance; by default 0, which is hard.
        on_step: called with (tables done, tables in all and one more, for counting).

    Raises:
        ConfigError: what no codebook can have, no or unlike latents, or fewer vectors than atoms.
    """
    if not latents:
        raise ConfigError("a codebook is fitted to one latent or more")
    given = {name: value for name, value in shape.items() if value is not None}
    chosen = {"channels": latents[0].shape[1], "bins": latents[0].shape[-1], **_DEFAULTS.get(method, {}), **given}
    config = CodebookConfig(method=method, size=size, **chosen)
    if method == "hierarchical":  # more atoms are better, up to one for each block of the first table (docs/systems.md)
        blocks = config.columns * sum(len(latent) * -(-latent.shape[2] // config.block_frames) for latent in latents)
        config = replace(config, size=min(size, max(2, 1 << blocks.bit_length() - 1)))
    beta, softness = _COMMITMENT if commitment is None else commitment, temperature or 0.0
    tensors = _statistics(latents, config) if method in DRAWN else _tables(latents, config, beta, softness, on_step)
    ones = {name: torch.ones(length, dtype=torch.int32) for name, length in config.alphabets.items()}
    codebook = LatentCodebook(config, {**tensors, **ones}, {})
    for _ in range(_ROUNDS if method == "adaptive" else 1):
        codebook = _counted(codebook, latents)
    record = measure(codebook, latents)
    if config.size < size:
        record["asked_size"] = size
    if method == "ema":
        # The terms of a VQ-VAE's loss that concern the codebook (see above).
        record["objective"] = {"codebook": record["mse"], "commitment": beta * record["mse"]}
        record["temperature"] = softness
    if on_step:
        on_step(len(config.views) + 1, len(config.views) + 1)
    return replace(codebook, record=record)


def _tables(
    latents: Latents, config: CodebookConfig, commitment: float, temperature: float, on_step: OnStep | None
) -> Tensors:
    """float16 tables, each fitted to what those before it, as they are stored, leave over."""
    left, generator, tables = _vectors(latents, config), np.random.default_rng(config.seed), {}
    for index, view in enumerate(config.views):
        seen = torch.cat([read(rows, view).reshape(-1, view.values) for rows in left])
        if len(seen) < config.size:
            raise ConfigError(f"{config.size} atoms from {len(seen)} vectors: give more sound or ask for fewer atoms")
        if config.method == "ema":
            atoms = ema(seen, config.size, generator, commitment=commitment, temperature=temperature)
        else:
            atoms = kmeans(seen, config.size, generator)
        tables[f"table.{index}"] = atoms.half()
        stored = atoms.half().float()
        for i, rows in enumerate(left):
            codes, _ = assigned(rows, view, stored, config.values)
            left[i] = rows - write(stored[codes[..., 0]], view, rows)
        if on_step:
            on_step(index + 1, len(config.views) + 1)
    return tables


def kmeans(vectors: torch.Tensor, size: int, generator: np.random.Generator) -> torch.Tensor:
    """`size` atoms `[K, d]` for vectors `[N, d]`, of which a random sample is used where they are very many."""
    sample = sample_rows(vectors, _ROWS_PER_ATOM * size, generator)
    table = _seeds_plus_plus(sample_rows(sample, _SEED_ROWS_PER_ATOM * size, generator), size, generator)
    before = float("inf")
    for _ in range(_ITERATIONS):
        codes = nearest(sample, table)
        distortion = float((sample - table[codes]).square().mean())
        if distortion >= before * (1 - _ENOUGH):
            break
        before = distortion
        usage, sums = _gathered(sample, codes[:, None], torch.ones_like(sample[:, :1]), size)
        table = sums / usage.clamp_min(1)[:, None]
        empty = torch.nonzero(usage == 0)[:, 0]  # a cell without vectors starts again at a random one
        table[empty] = sample[_drawn(len(sample), len(empty), generator)]
    return table


def _seeds_plus_plus(vectors: torch.Tensor, size: int, generator: np.random.Generator) -> torch.Tensor:
    """`size` of the vectors, each drawn with probability proportional to its squared distance from those before."""
    draws = generator.random(size)
    chosen = [int(draws[0] * len(vectors))]
    norms = vectors.square().sum(1)
    squares = torch.full_like(norms, torch.inf)
    for draw in draws[1:]:
        last = vectors[chosen[-1]]
        squares = squares.minimum((norms - 2 * (vectors @ last) + last.square().sum()).clamp_min(0))
        cumulative = squares.double().cumsum(0)
        index = int(torch.searchsorted(cumulative, draw * cumulative[-1], right=True))
        chosen.append(min(index, len(vectors) - 1))
    return vectors[chosen].clone()


def sample_rows(vectors: torch.Tensor, count: int, generator: np.random.Generator) -> torch.Tensor:
    """`count` of the rows without repetition, or all where there are no more."""
    if len(vectors) <= count:
        return vectors
    return vectors[torch.from_numpy(generator.choice(len(vectors), count, replace=False))]


def ema(
    vectors: torch.Tensor, size: int, generator: np.random.Generator, *, commitment: float, temperature: float
) -> torch.Tensor:
    """`size` atoms `[K, d]` for vectors `[N, d]`."""
    table = sample_rows(vectors, size, generator).clone()
    count = min(_BATCH, len(vectors))
    share = count / size  # mean usage
    usage, sums = torch.full((size,), share, device=table.device), table * share
    for step in range(_STEPS):
        batch = vectors[_drawn(len(vectors), count, generator)]
        seen, attracted = _attracted(batch, table, commitment, temperature)
        usage = _DECAY * usage + (1 - _DECAY) * seen
        sums = _DECAY * sums + (1 - _DECAY) * attracted
        if step < _STEPS * 3 // 4:  # those replaced must have time to settle
            dead = torch.nonzero(usage < _DEAD * share)[:, 0]
            usage[dead] = share
            sums[dead] = share * batch[_drawn(len(batch), len(dead), generator)]
        table = sums / usage.clamp_min(1e-9)[:, None]
    return table


def _attracted(
    batch: torch.Tensor, table: torch.Tensor, commitment: float, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Usage `[K]` and sum `[K, d]` of the vectors that each atom attracts, hard or soft."""
    if temperature == 0:
        return _gathered(batch, nearest(batch, table)[:, None], torch.ones_like(batch[:, :1]), len(table))
    top_k = min(SOFT_ATOMS, len(table))
    indices, weights = soft_assign(batch, table, temperature=temperature, top_k=top_k)
    average = (table[indices] * weights[..., None]).sum(1)
    return _gathered(batch - commitment * (batch - average), indices, weights, len(table))


def _gathered(
    vectors: torch.Tensor, indices: torch.Tensor, weights: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight `[K]` and weighted sum `[K, d]` of the vectors `[N, d]` of each atom, of which each vector has k."""
    usage, sums = vectors.new_zeros(size), vectors.new_zeros(size, vectors.shape[1])
    for index, weight in zip(indices.T, weights.T, strict=True):
        usage.index_add_(0, index, weight)
        sums.index_add_(0, index, vectors * weight[:, None])
    return usage, sums


def _drawn(limit: int, count: int, generator: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(generator.integers(limit, size=count))


def _vectors(latents: Latents, config: CodebookConfig) -> list[torch.Tensor]:
    """`[B, R, P, d]` of each latent; without clips that are filled up, which would teach silence."""
    whole = [split(latent, config)[:, : latent.shape[2] // config.row_frames] for latent in latents]
    whole = [rows for rows in whole if rows.numel()]
    if not whole:
        raise ConfigError(f"no sound fills a clip of {config.clip_frames} latent frames; give longer ones")
    return whole


def _statistics(latents: Latents, config: CodebookConfig) -> Tensors:
    """Mean and standard deviation of each value of a frame `[C F']` (also for clips), or of a position `[C]`."""
    per_frame = replace(config, unit="frame") if config.unit == "clip" else config
    rows = torch.cat([split(latent, per_frame).flatten(0, 2) for latent in latents]).double().cpu()
    return {"mean": rows.mean(0).float(), "std": rows.std(0, correction=0).float()}


def _counted(codebook: LatentCodebook, latents: Latents) -> LatentCodebook:
    """The codebook with counts of what it makes of these latents, each one more than seen."""
    counts = {name: torch.ones(length, dtype=torch.int64) for name, length in codebook.config.alphabets.items()}

    for latent in latents:
        rules = [("hard", budget) for budget in _budgets(codebook, latent.shape[2])]
        for rule, budget in [*rules, ("soft", None)] if codebook.config.flat else rules:
            codes = codebook.encode(latent, rule, bits_per_frame=budget)
            for stage, written in zip(codebook.stages(rule), codebook.written(codes, rule), strict=True):
                if rule == "hard" or stage.tensor.startswith("soft"):  # the atoms share the counts of the hard rule
                    counts[stage.tensor] += torch.bincount(written, minlength=stage.size).cpu()
    return replace(codebook, tensors={**codebook.tensors, **{name: count.int() for name, count in counts.items()}})


def _budgets(codebook: LatentCodebook, frames: int) -> tuple[float | None, ...]:
    """Budgets to count at, bits a frame, none below what telling that nothing is coded takes."""
    if codebook.config.method != "adaptive":
        return (None,)
    count = codebook.stages()[0]
    least = 1.001 * float(ideal_bits(count, torch.tensor(0))) * count.positions(frames) / frames
    return tuple(max(share * codebook.config.bits_per_frame, least) for share in _BUDGETS)


def measure(codebook: LatentCodebook, latents: Latents, rule: str = "hard", **options: Any) -> dict[str, Any]:
    """What coding these latents costs and loses.

    Args:
        rule, options: as of `LatentCodebook.encode`.

    Returns:
        `frames`; `nmse_db`, squared error over energy; `mse`, squared error a value; `energy_db`, of what is decoded
        over that of the latents; `bits_per_frame`, ideal by the codebook's counts; `fixed_bits_per_frame`, with whole
        bits for each code; `perplexity` and `used`, codes of each stage.
    """
    stages = codebook.stages(rule)
    usage = [torch.zeros(stage.size, dtype=torch.int64) for stage in stages]
    sums = torch.zeros(3, dtype=torch.float64)  # squares of error, result and latent
    bits = 0.0
    for latent in latents:
        frames = latent.shape[2]
        codes = codebook.encode(latent, rule, **options)
        decoded = codebook.decode(codes, frames, rule)
        sums += torch.stack([x.double().square().sum().cpu() for x in (decoded - latent, decoded, latent)])
        for seen, stage, written in zip(usage, stages, codebook.written(codes, rule), strict=True):
            seen += torch.bincount(written, minlength=stage.size).cpu()
            bits += float(ideal_bits(stage, written).sum())
    total = sum(len(latent) * latent.shape[2] for latent in latents)
    fixed = sum(int(seen.sum()) * (stage.size - 1).bit_length() for seen, stage in zip(usage, stages, strict=True))
    error, result, energy = sums.clamp_min(1e-30).tolist()
    return {
        "frames": total,
        "nmse_db": 10 * log10(error / energy),
        "mse": error / sum(latent.numel() for latent in latents),
        "energy_db": 10 * log10(result / energy),
        "bits_per_frame": bits / total,
        "fixed_bits_per_frame": fixed / total,
        "perplexity": [float(torch.special.entr(seen / seen.sum().clamp_min(1)).sum().exp()) for seen in usage],
        "used": [int((seen > 0).sum()) for seen in usage],
    }
