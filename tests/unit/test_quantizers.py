"""Latent codebooks: codes and back, against explicit searches; what each method and rule promises."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from noisebook import rng
from noisebook.errors import ConfigError
from noisebook.quantizers import chain, fitting
from noisebook.quantizers.chain import nearest, soft_assign
from noisebook.quantizers.codebook import LatentCodebook, hybrid, ideal_bits, load, quantise
from noisebook.quantizers.config import FLAT, METHODS, UNITS
from noisebook.quantizers.fitting import ema, fit, measure

FRAMES = 37  # no multiple of any block or clip
OPTIONS = {"residual": {"stages": 3}, "product": {"groups": 4}, "hierarchical": {"stages": 3, "block_frames": 4}}
BUDGETS = {"clip": 1.0, "frame": 8.0, "position": 128.0}
ALL = [(unit, method) for unit in UNITS for method in METHODS if (unit, method) != ("clip", "hierarchical")]


def latents(count: int = 3, frames: int = 64, seed: int = 0) -> list[torch.Tensor]:
    """Normal noise, smooth in time, with a mean."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 2, 8, frames + 2, 16, generator=generator)
    return list((noise[..., :-2, :] + noise[..., 1:-1, :] + noise[..., 2:, :]) / 3**0.5 + 0.3)


def fitted(unit: str, method: str, size: int = 8, **options: object) -> LatentCodebook:
    given: dict[str, object] = OPTIONS.get(method, {})
    if method == "adaptive":
        given = {"stages": 4, "bits_per_frame": BUDGETS[unit]}
    return fit(latents(), unit=unit, method=method, size=size, clip_frames=16, **{**given, **options})


@pytest.fixture(scope="module")
def books() -> dict[tuple[str, str], LatentCodebook]:
    return {kind: fitted(*kind) for kind in ALL}


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).square().mean())


def frame_vectors(latent: torch.Tensor) -> torch.Tensor:
    return latent.permute(0, 2, 1, 3).flatten(2)


def closest(vectors: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    return torch.cdist(vectors.double(), table.double()).argmin(-1)


# --- codes and back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "method"), ALL)
def test_codes_are_as_the_stages_say_and_code_their_own_result_to_itself(unit, method, books):
    book, latent = books[unit, method], latents(seed=1)[0][:, :, :FRAMES]
    codes = book.encode(latent)
    assert [tuple(code.shape) for code in codes] == [(2, stage.positions(FRAMES)) for stage in book.stages()]
    for code, stage in zip(codes, book.stages(), strict=True):
        assert code.dtype == torch.int64
        assert 0 <= code.min() <= code.max() < stage.size == len(stage.counts)
        assert min(stage.counts) >= 1
    decoded = book.decode(codes, FRAMES)
    assert decoded.shape == latent.shape
    assert torch.equal(decoded, quantise(latent, book))
    if book.config.flat:
        assert torch.equal(book.decode(book.encode(decoded), FRAMES), decoded)


@pytest.mark.parametrize(("unit", "method"), ALL)
def test_a_file_holds_the_same_codebook(unit, method, books, tmp_path):
    book, latent = books[unit, method], latents(seed=2)[0][:, :, :FRAMES]
    book.save(tmp_path / "book.safetensors")
    again = load(tmp_path / "book.safetensors")
    assert (again.config, again.fingerprint, again.stages()) == (book.config, book.fingerprint, book.stages())
    assert again.record == book.record
    codes = book.encode(latent)
    assert all(map(torch.equal, codes, again.encode(latent)))
    assert torch.equal(book.decode(codes, FRAMES), again.decode(codes, FRAMES))


def test_fingerprints_tell_codebooks_apart(books):
    books = [*books.values(), fitted("frame", "gaussian", seed=1), fitted("frame", "kmeans", model="ab")]
    assert len({book.fingerprint for book in books}) == len(books)
    assert fitted("frame", "residual").fingerprint == books[ALL.index(("frame", "residual"))].fingerprint


def test_frames_positions_and_clips_are_found_by_explicit_search(books):
    latent = latents(seed=3)[0][:, :, :FRAMES]
    frame, position, clip = (books[unit, "kmeans"] for unit in ("frame", "position", "clip"))
    assert torch.equal(frame.encode(latent)[0], closest(frame_vectors(latent), frame.tables[0]))
    cells = latent.permute(0, 2, 3, 1).flatten(1, 2)
    assert torch.equal(position.encode(latent)[0], closest(cells, position.tables[0]))
    values, table = frame_vectors(latent).flatten(1), clip.tables[0]
    expected = [closest(values[:, start : start + 2048], table) for start in (0, 2048)]
    expected.append(closest(values[:, 4096:], table[:, : 5 * 128]))  # five frames of a clip: the atoms' first five
    assert torch.equal(clip.encode(latent)[0], torch.stack(expected, 1))


def test_product_and_hierarchical_codes_by_explicit_search(books):
    latent = latents(seed=3)[0][:, :, :FRAMES]
    vectors = frame_vectors(latent)
    product = books["frame", "product"]
    for group, (code, table) in enumerate(zip(product.encode(latent), product.tables, strict=True)):
        assert torch.equal(code, closest(vectors[..., 32 * group : 32 * group + 32], table))
    hierarchical = books["frame", "hierarchical"]
    means = torch.stack([part.mean(1) for part in vectors.split(4, dim=1)], 1)
    coarse, fine, _ = hierarchical.encode(latent)
    assert torch.equal(coarse, closest(means, hierarchical.tables[0]))
    left = vectors - hierarchical.tables[0][coarse].repeat_interleave(4, 1)[:, :FRAMES]
    assert torch.equal(fine, closest(left, hierarchical.tables[1]))
    assert [stage.positions(FRAMES) for stage in hierarchical.stages()] == [10, 37, 37]
    assert [stage.positions(FRAMES) for stage in fitted("position", "hierarchical").stages()] == [160, 592, 592]


def test_the_search_is_the_same_in_any_chunks(monkeypatch):
    vectors, table = torch.randn(100, 8), torch.randn(16, 8)
    whole = nearest(vectors, table)
    monkeypatch.setattr(chain, "_SCORES", 100)
    assert torch.equal(nearest(vectors, table), whole)
    assert torch.equal(soft_assign(vectors, table, temperature=1.0, top_k=3)[0][:, 0], whole)


# --- methods -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "method"), [("frame", "residual"), ("position", "residual"), ("frame", "hierarchical")]
)
def test_every_stage_lowers_the_distortion(unit, method, books):
    book, known = books[unit, method], latents()[0]
    codes = book.encode(known)
    errors = [error(known, book.decode(codes[:count], 64)) for count in range(1, len(codes) + 1)]
    assert known.square().mean() > errors[0]
    assert all(a > b for a, b in pairwise(errors))


def test_drawn_atoms_are_the_generators_with_the_statistics_of_the_latents(books):
    book, every = books["position", "gaussian"], torch.cat(latents())
    cells = every.permute(0, 2, 3, 1).reshape(-1, 8)
    drawn = torch.from_numpy(rng.gaussian(64, seed=0, purpose=rng.Purpose.DENSE)).view(8, 8)
    torch.testing.assert_close(book.tables[0], cells.mean(0) + cells.std(0) * drawn, rtol=1e-4, atol=1e-4)
    for method in ("gaussian", "uniform"):
        table = fitted("frame", method, size=4096).tables[0]
        vectors = torch.cat([frame_vectors(latent).flatten(0, 1) for latent in latents()])
        assert (table.mean(0) - vectors.mean(0)).abs().max() < 0.1
        assert (table.std(0) / vectors.std(0) - 1).abs().max() < 0.07
    assert fitted("frame", "uniform").tables[0].abs().max() < 0.5 + 3**0.5 * 1.2


def test_a_drawn_codebook_of_clips_is_a_small_file(books, tmp_path):
    fitted("clip", "gaussian", size=1024).save(tmp_path / "clip.safetensors")
    assert (tmp_path / "clip.safetensors").stat().st_size < 10_000  # its table is 8 MiB


def test_kmeans_is_as_good_as_that_of_scikit_learn():
    cluster = pytest.importorskip("sklearn.cluster")
    vectors = torch.cat([latent.permute(0, 2, 3, 1).reshape(-1, 8) for latent in latents()])
    table = fitted("position", "kmeans", size=32).tables[0]
    ours = float((vectors - table[nearest(vectors, table)]).square().sum())
    theirs = cluster.KMeans(32, n_init=1, random_state=0, max_iter=25).fit(vectors.numpy()).inertia_
    assert ours < 1.02 * theirs


def test_moving_averages_replace_dead_atoms(monkeypatch):
    vectors = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
    start = torch.cat([vectors[:8], torch.full((8, 4), 1000.0)])  # half of the atoms where nothing is
    monkeypatch.setattr(fitting, "sample_rows", lambda *_: start)

    def used(dead: float) -> int:
        monkeypatch.setattr(fitting, "_DEAD", dead)
        table = ema(vectors, 16, np.random.default_rng(0), commitment=0.25, temperature=0.0)
        return len(nearest(vectors, table).unique())

    assert used(dead=0.0) == 8
    assert used(dead=0.1) == 16


def test_commitment_draws_atoms_together_in_soft_training_only():
    vectors = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))

    def spread(temperature: float, commitment: float) -> float:
        table = ema(vectors, 16, np.random.default_rng(0), commitment=commitment, temperature=temperature)
        return float(table.square().mean())

    assert spread(0.5, 0.9) < 0.9 * spread(0.5, 0.0)
    assert spread(0.0, 0.9) == spread(0.0, 0.0)
    record = fitted("frame", "ema").record
    assert record["objective"] == {"codebook": record["mse"], "commitment": 0.25 * record["mse"]}
    assert record["temperature"] == 0


def test_a_hierarchical_codebook_of_little_sound_has_fewer_atoms_and_says_so():
    """148 frames are 37 blocks of 4, enough for 32 atoms."""
    given = {"unit": "frame", "method": "hierarchical", "stages": 2, "block_frames": 4}
    book = fit(latents(count=1, frames=74), size=1024, **given)
    assert (book.config.size, book.record["asked_size"]) == (32, 1024)
    assert book.record["used"] == [32, 32]
    assert "asked_size" not in fit(latents(count=1, frames=74), size=16, **given).record
    with pytest.raises(ConfigError, match="atoms from"):  # no other method does
        fit(latents(count=1), unit="frame", method="residual", size=1024)


# --- adaptive ----------------------------------------------------------------------------------------------------


def uneven(seed: int) -> torch.Tensor:
    """Loud and quiet in turns of eight frames."""
    gains = torch.tensor([1.0, 0.1]).repeat_interleave(8).repeat(8)
    return latents(count=1, frames=128, seed=seed)[0] * gains[:, None]


@pytest.mark.parametrize("budget", [30.0, 60.0, 100.0])
def test_an_adaptive_codebook_keeps_its_budget_and_beats_an_even_allocation(budget):
    book = fit([uneven(0), uneven(1)], unit="position", method="adaptive", size=8, stages=4, bits_per_frame=60.0)
    latent = uneven(2)
    measured = measure(book, [latent], bits_per_frame=budget)
    assert 0.8 * budget < measured["bits_per_frame"] <= budget
    codes = book.encode(latent, bits_per_frame=1000.0)
    stages = book.stages()[1:]
    bits = [float(ideal_bits(stage, code).sum()) / 256 for stage, code in zip(stages, codes[1:], strict=True)]
    # Evenly: every frame the same number of stages, at no cost for telling it, on the line between two numbers.
    points = [(0.0, float(latent.square().mean()))]
    for count in range(1, 5):
        even = [torch.full_like(codes[0], count), *codes[1:]]
        points.append((sum(bits[:count]), error(latent, book.decode(even, 128))))
    even_error = np.interp(measured["bits_per_frame"], *zip(*points, strict=True))
    assert measured["mse"] < even_error


def test_codes_beyond_an_adaptive_count_are_absent_and_mean_nothing(books):
    book, latent = books["frame", "adaptive"], latents()[0]
    codes = book.encode(latent)
    assert len(codes[0].unique()) > 1
    changed = [codes[0]]
    for index in range(1, len(codes)):
        present = book.present(codes[:index])
        assert torch.equal(present, codes[0] >= index)
        assert not codes[index][~present].any()
        changed.append(torch.where(present, codes[index], 7))
    assert torch.equal(book.decode(changed, 64), book.decode(codes, 64))
    assert measure(book, latents(), bits_per_frame=2.5)["bits_per_frame"] <= 2.5  # far below its own
    with pytest.raises(ConfigError, match="budget"):
        book.encode(latent, bits_per_frame=0.01)


# --- soft and hybrid ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("temperature", [0.0, 1e-6])
def test_soft_at_no_temperature_is_hard(unit, temperature, books, monkeypatch):
    book, latent = books[unit, "kmeans"], latents(seed=5)[0][:, :, :FRAMES]
    hard = quantise(latent, book)
    assert torch.equal(quantise(latent, book, rule="soft", temperature=temperature), hard)
    monkeypatch.setattr("noisebook.quantizers.codebook.TEMPERATURE", temperature)
    codes = book.encode(latent, "soft")
    assert torch.equal(codes[0], book.encode(latent)[0])
    assert not torch.cat(codes[1:]).any()
    assert torch.equal(book.decode(codes, FRAMES, "soft"), hard)
    residual = books["frame", "residual"]
    torch.testing.assert_close(quantise(latent, residual, rule="soft", temperature=0.0), quantise(latent, residual))


@pytest.mark.parametrize(("unit", "method"), [kind for kind in ALL if kind[1] in FLAT])
def test_soft_codes_are_near_the_soft_rule(unit, method, books):
    book, latent = books[unit, method], latents(seed=5)[0][:, :, :FRAMES]
    codes = book.encode(latent, "soft")
    assert [tuple(code.shape) for code in codes] == [(2, stage.positions(FRAMES)) for stage in book.stages("soft")]
    for code, stage in zip(codes, book.stages("soft"), strict=True):
        assert 0 <= code.min() <= code.max() < stage.size
    for index in range(2, len(codes), 2):
        assert torch.equal(book.present(codes[:index], "soft"), codes[index - 1] > 0)
    ideal = quantise(latent, book, rule="soft")
    assert error(book.decode(codes, FRAMES, "soft"), ideal) < 0.03 * float(ideal.square().mean())


def test_soft_weights_are_the_softmax_of_distances():
    vectors, table = torch.randn(50, 6), torch.randn(9, 6)
    indices, weights = soft_assign(vectors, table, temperature=0.4, top_k=4)
    distances, order = torch.cdist(vectors, table).sort(1)
    assert torch.equal(indices, order[:, :4])
    torch.testing.assert_close(weights, torch.softmax(-distances[:, :4] / 0.4, 1), rtol=1e-4, atol=1e-5)


def test_averages_lose_energy_and_get_it_back(books):
    book, latent = books["position", "kmeans"], latents(seed=6)[0]
    hard = float(quantise(latent, book).square().mean())
    table = book.tables[0]
    indices, weights = soft_assign(latent.permute(0, 2, 3, 1).flatten(0, 2), table, temperature=2.0, top_k=5)
    shrunk = (table[indices] * weights[..., None]).sum(1)
    assert float(shrunk.square().mean()) < 0.8 * hard
    kept = quantise(latent, book, rule="soft", temperature=2.0)
    assert float(kept.square().mean()) == pytest.approx(hard, rel=0.1)


@pytest.mark.parametrize("mix", [0.7, 0.8])
@pytest.mark.parametrize("method", ["kmeans", "residual", "adaptive"])
def test_hybrids_lie_between_the_quantised_latent_and_the_original(mix, method, books):
    book, latent = books["frame", method], latents(seed=6)[0]
    hard = quantise(latent, book)
    kept, plain = (frame_vectors(x) for x in (hybrid(hard, latent, mix), mix * hard + (1 - mix) * latent))
    torch.testing.assert_close(torch.cosine_similarity(kept, plain, dim=-1), torch.ones(2, 64))
    energies = [x.square().sum(-1) for x in (kept, frame_vectors(hard), frame_vectors(latent))]
    torch.testing.assert_close(energies[0], mix * energies[1] + (1 - mix) * energies[2])
    torch.testing.assert_close(hybrid(hard, latent, 0.0), latent)
    torch.testing.assert_close(hybrid(hard, latent, 1.0), hard)


# --- measures and mistakes ---------------------------------------------------------------------------------------


def test_measures_of_a_codebook_that_is_perfect_and_of_one_that_is_used_evenly():
    atoms = torch.eye(4) * 8
    cells = atoms.repeat(32, 1).view(1, 8, 16, 4)  # 128 cells of 4 values
    latent = cells.permute(0, 3, 1, 2).contiguous()
    book = fit([latent], unit="position", method="kmeans", size=4)
    assert error(book.decode(book.encode(latent), 8), latent) == 0
    measured = measure(book, [latent])
    assert (measured["perplexity"], measured["used"], measured["frames"]) == ([pytest.approx(4)], [4], 8)
    assert (measured["bits_per_frame"], measured["fixed_bits_per_frame"]) == (pytest.approx(32), 32)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"unit": "second"}, "clip, frame, position"),
        ({"method": "magic"}, "residual"),
        ({"size": 1}, "size"),
        ({"size": 10_000}, "atoms from"),
        ({"stages": 3}, "stages"),
        ({"groups": 3}, "groups"),
        ({"block_frames": 3}, "block_frames"),
        ({"bits_per_frame": 3.0}, "bits_per_frame"),
        ({"method": "product", "groups": 200}, "groups"),
        ({"method": "adaptive", "bits_per_frame": 0.0}, "budget"),
        ({"method": "hierarchical", "stages": 1}, "hierarchical"),
        ({"method": "hierarchical", "unit": "clip"}, "hierarchical"),
        ({"unit": "clip"}, "fills a clip"),
        ({"unit": "clip", "method": "gaussian", "size": 65536}, "values"),
        ({"model": "not hexadecimal"}, "hexadecimal"),
    ],
)
def test_settings_that_no_codebook_can_have(given, word):
    with pytest.raises(ConfigError, match=word):
        fit(latents(), **{"unit": "frame", "method": "kmeans", "size": 8, **given})


def test_latents_and_codes_that_do_not_fit(books):
    book, residual = books["frame", "kmeans"], books["frame", "residual"]
    for wrong in (torch.zeros(1, 4, 10, 16), torch.zeros(8, 10, 16), torch.zeros(1, 8, 0, 16)):
        with pytest.raises(ConfigError, match="latent"):
            book.encode(wrong)
    with pytest.raises(ConfigError, match="NaN"):
        book.encode(torch.full((1, 8, 10, 16), torch.nan))
    codes = residual.encode(latents()[0])
    for wrong_codes, frames in (
        (codes, 63), ([], 64), ([*codes, codes[0]], 64), ([codes[0] + 8], 64), ([codes[0] - 8], 64),
        ([codes[0].float()], 64), ([codes[0], codes[1][:1]], 64),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="codes"):
            residual.decode(wrong_codes, frames)
    for call in (residual.encode, lambda x, rule: quantise(x, residual, rule=rule)):
        with pytest.raises(ConfigError, match="rule"):
            call(latents()[0], "medium")
    with pytest.raises(ConfigError, match="soft"):
        residual.encode(latents()[0], "soft")
    with pytest.raises(ConfigError, match="mix"):
        hybrid(latents()[0], latents()[0], 1.5)
    with pytest.raises(ConfigError, match="temperature"):
        quantise(latents()[0], book, rule="soft", temperature=-1.0)
    with pytest.raises(ConfigError, match="nearest"):
        quantise(latents()[0], book, rule="soft", top_k=9)
    with pytest.raises(ConfigError, match="one latent"):
        fit([], unit="frame", method="kmeans", size=8)
