"""What the training recipes share, and each recipe for a moment on synthetic sound."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.backends.checkpoint import load_network, read_metadata
from noisebook.networks.denoiser import Denoiser, DenoiserConfig
from noisebook.networks.discriminator import MultiResolutionDiscriminator
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.networks.vocoder import Vocoder, VocoderConfig
from noisebook.recipes import _coded, _train, denoiser, end_to_end, vae, vocoder
from noisebook.recipes._clips import SAMPLE_RATE, PackedAudio, pack_folder
from noisebook.recipes._train import Budget, Ema, Log, load_checkpoint, save_checkpoint, waveforms

# --- budget ------------------------------------------------------------------------------------------------------


def test_budget_counts_time_and_steps(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(Budget, "_now", lambda self: now[0])
    budget = Budget(3.0, "cpu")
    for minutes in (1.0, 0.5, 1.0):
        now[0] += minutes
        budget.tick()
        assert not budget.done
    assert (budget.step, budget.elapsed) == (3, 2.5)
    now[0] += 0.5
    budget.tick()
    assert budget.done


def test_budget_goes_on_where_an_earlier_run_stopped(monkeypatch):
    monkeypatch.setattr(Budget, "_now", lambda self: 77.0)  # time before this run does not count
    budget = Budget(3.0, "cpu", elapsed=2.9, steps=40)
    budget.tick()
    assert (budget.step, budget.elapsed) == (41, 2.9)
    assert Budget(3.0, "cpu", elapsed=3.0).done


def test_on_a_cpu_waiting_is_free():
    budget = Budget(1.0, "cpu")
    import time

    time.sleep(0.2)
    budget.tick()
    assert budget.elapsed < 0.1 / 60


def test_learning_rate_is_a_cosine_after_a_warm_up():
    def rate(share: float, step: int = 10_000) -> float:
        return Budget(10.0, "cpu", elapsed=10 * share, steps=step).learning_rate(1.0)

    assert rate(0.0) == pytest.approx(1.0)
    assert rate(0.5) == pytest.approx(0.51)
    assert rate(0.25) == pytest.approx(0.02 + 0.98 * 0.5 * (1 + math.sqrt(0.5)))
    assert rate(1.0) == rate(5.0) == pytest.approx(0.02)
    assert rate(0.0, step=0) == pytest.approx(1 / 200)
    assert rate(0.0, step=99) == pytest.approx(0.5)


# --- averaging ---------------------------------------------------------------------------------------------------


def test_ema_is_the_average_that_it_says():
    network = torch.nn.Linear(2, 1)
    ema = Ema(network, decay=0.9)
    expected = network.weight.detach().clone()
    for step in range(200):
        with torch.no_grad():
            network.weight.copy_(torch.tensor([[float(step), -float(step)]]))
        ema.update(network, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network.weight.detach()
    torch.testing.assert_close(ema.weights["weight"], expected)
    assert float(expected[0, 0]) == pytest.approx(199 - 9, abs=0.1)  # it lags by decay / (1 - decay) steps


def test_ema_is_applied_for_a_block_even_if_that_fails():
    network = torch.nn.Linear(2, 1)
    ema = Ema(network)
    own = network.weight.detach().clone()
    ema.weights["weight"] = torch.full((1, 2), 7.0)

    def fail_within() -> None:
        with ema.applied(network):
            assert network.weight.tolist() == [[7.0, 7.0]]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert torch.equal(network.weight, own)


# --- log and checkpoint ------------------------------------------------------------------------------------------


def test_log_takes_numbers_and_tensors(tmp_path, capsys):
    log = Log(tmp_path / "log.jsonl")
    log(Budget(1.0, "cpu", elapsed=0.123456, steps=3), loss=torch.tensor(0.123456789, requires_grad=True), rate=2)
    log(Budget(1.0, "cpu", steps=4), loss=1.0)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert capsys.readouterr().out.splitlines() == lines
    assert json.loads(lines[0]) == {"step": 3, "minutes": 0.12, "loss": 0.12346, "rate": 2.0}
    assert json.loads(lines[1])["step"] == 4


def test_checkpoint_round_trip(tmp_path):
    path = tmp_path / "checkpoint.pt"
    assert load_checkpoint(path, "cpu") is None
    save_checkpoint(path, Budget(1.0, "cpu", elapsed=0.5, steps=9), network={"w": torch.ones(2)}, log_kl_weight=-3.0)
    state = load_checkpoint(path, "cpu")
    assert state["elapsed"] == 0.5
    assert state["steps"] == 9
    assert state["log_kl_weight"] == -3.0
    assert torch.equal(state["network"]["w"], torch.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


# --- sound -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of 3 s, two of each kind."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    time = np.arange(48000) / 16000
    for i, kind in enumerate(("music", "speech", "sfx") * 2):
        tone = 0.4 * np.sin(2 * np.pi * (150 + 90 * i) * time) + 0.05 * rng.standard_normal(len(time))
        write(folder / f"{kind}__{i}.wav", Waveform.of(tone.astype(np.float32), 16000))
    out = tmp_path_factory.mktemp("packed")
    pack_folder(folder, out, sample_rate=SAMPLE_RATE)
    return out


def test_waveforms_are_at_the_codecs_levels(packed):
    rng = np.random.default_rng(0)
    waveform, kinds = waveforms(PackedAudio(packed), 200, 2000, rng, "cpu")
    assert waveform.shape == (200, 2000)
    assert waveform.dtype == torch.float32
    assert set(kinds.tolist()) == {0, 1, 2}
    peaks = waveform.abs().amax(1)
    assert peaks.max() <= 0.5 + 1e-6
    assert 20 * math.log10(float(peaks.median()) / 0.5) == pytest.approx(-5.4, abs=1.5)  # median of |N(0, 8 dB)|


# --- the recipes -------------------------------------------------------------------------------------------------

VAE = MelVaeConfig(dim=16, hidden=16, encoder_blocks=1, decoder_blocks=1)
DENOISER = DenoiserConfig(dim=16, hidden=16, blocks=1, heads=2)
VOCODER = VocoderConfig(dim=16, hidden=16, blocks=1)
NETWORKS = {"vae": (MelVae, MelVaeConfig), "denoiser": (Denoiser, DenoiserConfig), "vocoder": (Vocoder, VocoderConfig)}


@pytest.fixture
def small(monkeypatch):
    """The recipes as they are, with small networks, short clips, and a short export."""
    monkeypatch.setattr(vae, "MelVaeConfig", lambda **changed: MelVaeConfig(**({**vars(VAE), **changed})))
    monkeypatch.setattr(denoiser, "DenoiserConfig", lambda: DENOISER)
    monkeypatch.setattr(vocoder, "VocoderConfig", lambda: VOCODER)
    monkeypatch.setattr(vocoder, "MultiResolutionDiscriminator", lambda: MultiResolutionDiscriminator((256,)))
    monkeypatch.setattr(vae, "_SAMPLES", 2560)
    monkeypatch.setattr(vocoder, "_SAMPLES", 2560)
    monkeypatch.setattr(denoiser, "_LENGTHS", (4, 8))
    whole_curve = denoiser.measure_curve
    monkeypatch.setattr(denoiser, "measure_curve", lambda *args: whole_curve(*args, timesteps=(20, 400, 999)))


@pytest.fixture(scope="module")
def vae_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from noisebook.backends.checkpoint import save_network

    path = tmp_path_factory.mktemp("vae") / "vae.safetensors"
    torch.manual_seed(0)
    save_network(path, MelVae(VAE), {})
    return path


def run(monkeypatch, recipe, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["recipe", *map(str, words)])
    torch.manual_seed(0)
    recipe.main()


def words_for(recipe, packed: Path, folder: Path, vae_weights: Path) -> list[object]:
    words = [packed, folder, "--batch", 2, "--device", "cpu"]
    return words if recipe is vae else [*words, "--vae", vae_weights]


RECIPES = pytest.mark.parametrize("recipe", [vae, denoiser, vocoder], ids=lambda recipe: recipe.__name__.split(".")[-1])


@RECIPES
def test_dry_run_takes_ten_steps_and_writes_nothing(recipe, small, packed, vae_weights, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    run(monkeypatch, recipe, *words_for(recipe, packed, folder, vae_weights), "--dry-run")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


@RECIPES
def test_a_short_run_writes_weights_that_load_and_goes_on(
    recipe, small, packed, vae_weights, tmp_path, monkeypatch, capsys
):
    name = recipe.__name__.split(".")[-1]
    folder = tmp_path / "run"
    words = words_for(recipe, packed, folder, vae_weights)
    run(monkeypatch, recipe, *words, "--minutes", 0.002)
    first = load_checkpoint(folder / "checkpoint.pt", "cpu")
    assert first["steps"] > 0
    assert first["elapsed"] >= 0.002

    network = load_network(folder / f"{name}.safetensors", *NETWORKS[name])
    assert all(value.isfinite().all() for value in network.state_dict().values())
    record = json.loads(read_metadata(folder / f"{name}.safetensors")["record"])
    assert record["steps"] == first["steps"]
    assert record["data_fingerprint"] == PackedAudio(packed).fingerprint
    for key, value in network.state_dict().items():  # the averaged weights, not the last ones
        torch.testing.assert_close(value, first["ema"][key].half().float(), msg=key)

    run(monkeypatch, recipe, *words, "--minutes", 0.004)
    second = load_checkpoint(folder / "checkpoint.pt", "cpu")
    assert second["steps"] > first["steps"]
    assert second["elapsed"] >= 0.004
    before = (folder / "checkpoint.pt").read_bytes()
    capsys.readouterr()
    run(monkeypatch, recipe, *words, "--minutes", 0.004, "--dry-run")  # nothing left to do
    run(monkeypatch, recipe, *words, "--minutes", 9, "--dry-run")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [row["step"] - second["steps"] for row in rows] == list(range(1, 11))
    assert (folder / "checkpoint.pt").read_bytes() == before


def test_vae_export_gives_the_latent_unit_variance(small, packed, tmp_path, monkeypatch):
    run(monkeypatch, vae, packed, tmp_path / "run", "--batch", 2, "--minutes", 0.002, "--device", "cpu")
    network = load_network(tmp_path / "run" / "vae.safetensors", MelVae, MelVaeConfig)
    from noisebook.audio.mel import log_mel

    waveform, _ = waveforms(PackedAudio(packed), 64, 2560, np.random.default_rng(8), "cpu")
    assert float(network.encode(log_mel(waveform)).std()) == pytest.approx(1.0, rel=0.1)


def test_denoiser_export_carries_a_curve_that_the_backend_takes(small, packed, vae_weights, tmp_path, monkeypatch):
    from noisebook.config import from_dict
    from noisebook.diffusion.plan import Curve

    words = words_for(denoiser, packed, tmp_path / "run", vae_weights)
    run(monkeypatch, denoiser, *words, "--minutes", 0.002)
    record = json.loads(read_metadata(tmp_path / "run" / "denoiser.safetensors")["record"])
    curve = from_dict(Curve, record["curve"])
    assert curve.timesteps == (20, 400, 999)
    assert list(curve.errors) == sorted(curve.errors)


def test_markov_kl_is_the_divergence_from_a_gauss_markov_prior():
    """Against torch's own divergence of two Gaussians, frame by frame; without memory it is the usual KL."""
    from torch.distributions import Normal, kl_divergence

    generator = torch.Generator().manual_seed(0)
    mean, log_variance, sample = torch.randn(3, 2, 8, 6, 16, generator=generator, dtype=torch.float64)
    memory = torch.randn(1, 8, 1, 16, generator=generator, dtype=torch.float64)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    usual = kl_divergence(posterior, Normal(0.0, 1.0))
    torch.testing.assert_close(vae.markov_kl(sample, mean, log_variance, 0 * memory), usual.mean())
    a = memory.tanh()
    rest = Normal(mean[:, :, 1:], (0.5 * log_variance[:, :, 1:]).exp())
    given = kl_divergence(rest, Normal(a * sample[:, :, :-1], (1 - a**2).sqrt()))
    expected = torch.cat((usual[:, :, :1], given), dim=2).mean()
    torch.testing.assert_close(vae.markov_kl(sample, mean, log_variance, memory), expected)


def test_half_of_the_vocoders_mels_are_decoded(vae_weights):
    network = load_network(vae_weights, MelVae, MelVaeConfig)
    mel = torch.randn(6, 1, 8, 64, generator=torch.Generator().manual_seed(0))
    mixed = vocoder.half_decoded(network, mel)
    assert torch.equal(mixed[1::2], mel[1::2])
    assert ((mixed[::2] - mel[::2]).abs().amax((1, 2, 3)) > 0.01).all()


# --- what comes behind the diffusion -----------------------------------------------------------------------------


@pytest.fixture
def short_sounds(monkeypatch):
    monkeypatch.setattr(_coded, "_FRAMES", 24)


@pytest.fixture(scope="module")
def denoiser_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from noisebook.backends.checkpoint import save_network

    path = tmp_path_factory.mktemp("denoiser") / "denoiser.safetensors"
    torch.manual_seed(0)
    save_network(path, Denoiser(DENOISER), {})
    return path


def test_coded_latents_belong_to_their_sounds(short_sounds, packed, vae_weights, denoiser_weights, monkeypatch):
    network = load_network(vae_weights, MelVae, MelVaeConfig)
    parts = (PackedAudio(packed), network, load_network(denoiser_weights, Denoiser, DenoiserConfig))
    from noisebook.audio.mel import log_mel

    differences = {}
    for last in (0, 40, 300):
        monkeypatch.setattr(_coded, "end_of_bits", lambda rng, last=last: last)
        torch.manual_seed(0)
        pool = _coded.CodedSounds(*parts, np.random.default_rng(0), "cpu", size=4)
        waveform, latent = pool.sample(6, 24)
        assert waveform.shape == (6, 24 * _coded.LATENT_HOP)
        own = network.encode(log_mel(waveform))
        assert latent.shape == own.shape
        differences[last] = float((latent - own).square().mean())
    assert differences[0] < 1e-3  # bfloat16
    assert differences[0] < differences[40] < differences[300]


def test_bits_end_anywhere_from_the_highest_rate_to_a_low_one():
    rng = np.random.default_rng(0)
    ends = [_coded.end_of_bits(rng) for _ in range(4000)]
    assert 0.1 < ends.count(0) / len(ends) < 0.15
    assert min(end for end in ends if end) < 10
    assert 300 < max(ends) <= 330


def test_half_of_the_vocoders_mels_are_of_coded_latents(
    small, short_sounds, packed, vae_weights, denoiser_weights, tmp_path, monkeypatch, capsys
):
    words = [packed, tmp_path / "run", "--batch", 4, "--device", "cpu", "--denoiser", denoiser_weights]
    with pytest.raises(SystemExit):
        run(monkeypatch, vocoder, *words, "--dry-run")
    assert "--denoiser needs --vae" in capsys.readouterr().err
    monkeypatch.setattr(vocoder, "half_decoded", None)  # not called
    run(monkeypatch, vocoder, *words, "--vae", vae_weights, "--dry-run")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [row["step"] for row in rows] == list(range(1, 11))


def test_mel_distance():
    a = 0.1 * torch.randn(2, 4096, generator=torch.Generator().manual_seed(0))
    assert vocoder.mel_distance(a, a) == 0
    assert float(vocoder.mel_distance(2 * a, a)) == pytest.approx(math.log(2), rel=1e-3)


# --- autoencoder and denoiser together ---------------------------------------------------------------------------


@pytest.fixture
def trained_before(small, packed, vae_weights, tmp_path, monkeypatch):
    """The words that begin with a VAE, and with a denoiser that has a curve."""
    folder = tmp_path / "before"
    run(monkeypatch, denoiser, *words_for(denoiser, packed, folder, vae_weights), "--minutes", 0.002)
    monkeypatch.setattr(end_to_end, "_LENGTHS", (4, 8))
    return ["--batch", 4, "--device", "cpu", "--vae", vae_weights, "--denoiser", folder / "denoiser.safetensors"]


def test_end_to_end_goes_on_with_both_networks(trained_before, packed, vae_weights, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    run(monkeypatch, end_to_end, packed, folder, *trained_before, "--dry-run")
    assert not folder.exists()
    for minutes in (0.004, 0.008):
        run(monkeypatch, end_to_end, packed, folder, *trained_before, "--minutes", minutes)
    state = load_checkpoint(folder / "checkpoint.pt", "cpu")
    assert state["elapsed"] >= 0.008
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    for name in ("vae", "denoiser"):
        network = load_network(folder / f"{name}.safetensors", *NETWORKS[name])
        for key, value in network.state_dict().items():
            torch.testing.assert_close(value, state["ema"][f"{name}.{key}"].half().float(), msg=key)
        assert json.loads(read_metadata(folder / f"{name}.safetensors")["record"])["steps"] == state["steps"]
    old = load_network(vae_weights, MelVae, MelVaeConfig).state_dict()
    assert all(not torch.equal(old[key], state["networks"][f"vae.{key}"]) for key in old if key.endswith("weight"))


def test_the_error_of_the_mel_does_not_train_the_denoiser(trained_before, packed):
    """It reaches the autoencoder through the denoiser, whose own gradient is that of its error alone."""
    words = dict(zip(trained_before[::2], trained_before[1::2], strict=True))
    networks = [load_network(words[f"--{name}"], *NETWORKS[name]).requires_grad_(True) for name in ("vae", "denoiser")]
    torch.nn.init.normal_(networks[1].output.weight)  # zero at the start
    rates = end_to_end.Rates.of(words["--denoiser"], "cpu")

    def losses() -> dict[str, torch.Tensor]:
        torch.manual_seed(3)
        return end_to_end.losses_of(*networks, PackedAudio(packed), rates, np.random.default_rng(0), 4, "cpu")

    end_to_end.backward(losses(), networks[0])
    found = [parameter.grad.clone() for parameter in networks[1].parameters() if parameter.grad is not None]
    networks[1].zero_grad()
    again = losses()
    (again["rate"] + again["v"]).backward()
    expected = [parameter.grad for parameter in networks[1].parameters() if parameter.grad is not None]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_rates_are_those_of_an_ideal_codec(tmp_path):
    """A denoiser that knows nothing: error 1 everywhere, so that R is half the SNR."""
    from noisebook.backends.checkpoint import save_network
    from noisebook.diffusion.schedule import scaled_linear

    save_network(tmp_path / "d.safetensors", Denoiser(DENOISER), {"curve": {"timesteps": [0], "errors": [1.0]}})
    rates = end_to_end.Rates.of(tmp_path / "d.safetensors", "cpu", between=(100.0, 4000.0))
    assert rates.density.sum() == pytest.approx(1)
    schedule, spent = scaled_linear(), {}
    for t in np.flatnonzero(rates.density):
        spent[int(t)] = 0.5 * schedule.snr(int(t)) * 3200 / math.log(2)
    assert 99 < min(spent.values()) < 103
    assert 3900 < max(spent.values()) < 4001
    middle = int(np.searchsorted(np.cumsum(rates.density), 0.5))
    assert spent[middle] == pytest.approx(math.sqrt(100 * 4000), rel=0.02)  # uniform in log R
    assert rates.weights[999] == pytest.approx(1 - schedule.alpha(999), rel=0.01)
    assert (rates.weights[: min(spent)] == 0).all()


def test_every_recipe_has_the_common_options():
    parser = _train.arguments("x", minutes=3, batch=5)
    args = parser.parse_args(["data", "run"])
    assert (args.minutes, args.batch, args.seed, args.dry_run) == (3, 5, 0, False)
