"""What the denoisers are told of a prompt, against the pipelines of diffusers; and the empty prompt in the cache."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from noisebook import api
from noisebook.api.models import load_backend
from noisebook.backends.text import language_model_steps, tokens
from tests.family.conftest import each, noise

diffusers = pytest.importorskip("diffusers", reason="checkpoints of other projects need diffusers")
transformers = pytest.importorskip("transformers", reason="checkpoints of other projects need transformers")

PROMPT = "A dog barks twice in the distance while rain falls on a tin roof."
LONG = " ".join(["A hammer hitting a wooden surface, followed by footsteps on gravel."] * 12)


def embedding(backend: Any, text: str) -> dict[str, torch.Tensor]:
    return backend._prompts(text).embedding


def pipeline_of(folder: Path, name: str) -> Any:
    return getattr(diffusers, name).from_pretrained(folder, local_files_only=True)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# --- against the libraries ---------------------------------------------------------------------------------------


def test_audioldm2_hears_what_its_pipeline_would_tell_it(audioldm2_lm_head_folder, load):
    pipeline = pipeline_of(audioldm2_lm_head_folder, "AudioLDM2Pipeline")
    for text in (PROMPT, "", LONG):
        t5, mask, generated = pipeline.encode_prompt(text, "cpu", 1, False)
        ours = embedding(load(audioldm2_lm_head_folder), text)
        torch.testing.assert_close(ours["encoder_hidden_states"], generated, atol=1e-5, rtol=0)
        torch.testing.assert_close(ours["encoder_hidden_states_1"], t5, atol=1e-5, rtol=0)
        assert torch.equal(ours["encoder_attention_mask_1"], mask)


def test_audioldm_hears_what_its_pipeline_would_tell_it(audioldm_folder, load):
    pipeline = pipeline_of(audioldm_folder, "AudioLDMPipeline")
    for text in (PROMPT, "", LONG):
        expected = pipeline._encode_prompt(text, "cpu", 1, False)
        ours = embedding(load(audioldm_folder), text)
        torch.testing.assert_close(ours["class_labels"], expected, atol=1e-5, rtol=0)


def test_musicldm_hears_the_unit_vector_of_clap(musicldm_folder, load):
    """Its pipeline does not run with transformers 5, so CLAP is asked itself."""
    clap = transformers.ClapModel.from_pretrained(musicldm_folder / "text_encoder", local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(musicldm_folder / "tokenizer", local_files_only=True)
    with torch.no_grad():
        words = clap.text_model(**tokenizer(PROMPT, return_tensors="pt")).pooler_output
        expected = torch.nn.functional.normalize(clap.text_projection(words), dim=-1)
    ours = embedding(load(musicldm_folder), PROMPT)
    torch.testing.assert_close(ours["class_labels"], expected, atol=1e-5, rtol=0)


def test_a_language_model_saved_without_its_head_says_the_same(audioldm2_lm_head_folder, tmp_path, load):
    folder = Path(shutil.copytree(audioldm2_lm_head_folder, tmp_path / "model"))
    with_head = transformers.GPT2LMHeadModel.from_pretrained(folder / "language_model", local_files_only=True)
    shutil.rmtree(folder / "language_model")
    with_head.transformer.save_pretrained(folder / "language_model")
    index = json.loads((folder / "model_index.json").read_text())
    index["language_model"] = ["transformers", "GPT2Model"]
    (folder / "model_index.json").write_text(json.dumps(index))
    assert same(embedding(load(folder), PROMPT), embedding(load(audioldm2_lm_head_folder), PROMPT))


@pytest.mark.parametrize("masked", [(), (2,), (0, 1, 5)])
def test_the_language_model_goes_on_as_it_would_with_a_cache_of_keys(audioldm2_folder, masked):
    base = transformers.GPT2Model.from_pretrained(audioldm2_folder / "language_model", local_files_only=True).eval()
    x = torch.randn(1, 7, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, 7, dtype=torch.long)
    mask[:, list(masked)] = 0
    with torch.no_grad():
        continued = language_model_steps(base, x, mask, 8)
        expected, keys = [], None
        for _ in range(8):
            told = base(inputs_embeds=x, attention_mask=mask, past_key_values=keys, use_cache=True)
            x, keys = told.last_hidden_state[:, -1:], told.past_key_values
            mask = torch.cat((mask, mask.new_ones(1, 1)), dim=1)
            expected.append(x)
    torch.testing.assert_close(continued, torch.cat(expected, dim=1), atol=1e-5, rtol=0)


# --- words -------------------------------------------------------------------------------------------------------


def test_words_beyond_the_models_length_are_told(audioldm2_folder, load):
    backend = load(audioldm2_folder)
    words = LONG.split()
    dropped = backend.condition(LONG).unknown
    assert 5 < len(dropped) < len(words)
    assert list(dropped[1:]) == words[1 - len(dropped) :]  # the first may be the end of a word
    assert backend.condition(PROMPT).unknown == backend.condition("").unknown == ()
    changed = " ".join([*words[:-2], "another", "end"])
    told, other = (embedding(backend, text)["encoder_hidden_states_1"] for text in (LONG, changed))
    assert torch.equal(told, other)  # what was dropped has no effect on T5


def test_the_library_says_nothing_of_a_long_prompt(audioldm2_folder, load, caplog):
    tokenizer = load(audioldm2_folder).checkpoint.preprocessor("tokenizer_2")
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    try:
        assert tokens(tokenizer, LONG).ids.shape == (1, 128)
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.text == ""


def test_the_command_tells_them_too(noisebook, audioldm2_folder):
    ran = noisebook("generate", LONG, "x.wav", "--seconds", 0.3, "--steps", 1, "--guidance", 1, "--json",
                    "--model", audioldm2_folder, "--device", "cpu")  # fmt: skip
    assert ran.status == 0, ran
    assert json.loads(ran.text)["unknown_words"][-1] == "gravel."
    assert "gravel." in ran.err


@each("audioldm2", "audioldm", "musicldm", "stable_audio")
def test_every_word_counts(folder, load):
    backend = load(folder)
    x = torch.randn(1, backend.info.latent_channels, 8, backend.info.latent_bins)
    estimates = [backend.denoise(x, 600, condition=backend.condition(text)) for text in (PROMPT, PROMPT[:-5], "")]
    assert (estimates[0] - estimates[1]).abs().max() > 1e-5
    assert torch.equal(estimates[2], backend.denoise(x, 600))
    assert torch.equal(estimates[2], backend.denoise(x, 600, condition=backend.condition("  ")))


# --- the empty prompt in the cache -------------------------------------------------------------------------------


@each("audioldm2", "audioldm", "musicldm")
def test_text_parts_are_needed_once_for_the_empty_prompt(folder, empty_cache):
    first, second = (load_backend(str(folder), device="cpu") for _ in range(2))
    x = torch.randn(1, 8, 8, 16)
    estimate = first.denoise(x, 500)
    (folder / "tokenizer").rename(folder / "away")
    try:
        assert torch.equal(second.denoise(x, 500), estimate)
    finally:
        (folder / "away").rename(folder / "tokenizer")
    assert first.networks.loaded == second.networks.loaded == ("unet",)


def test_coding_needs_no_text_parts_once_the_empty_prompt_is_known(audioldm2_folder, tmp_path, empty_cache):
    """Neither their networks nor their files: half of the checkpoint may be deleted."""
    folder = Path(shutil.copytree(audioldm2_folder, tmp_path / "model"))
    first = load_backend(str(folder), device="cpu")
    stream = api.compress(noise(0.3), backend=first, preset="300")
    for part in ("text_encoder", "text_encoder_2", "projection_model", "language_model", "tokenizer", "tokenizer_2"):
        shutil.rmtree(folder / part)
    second = load_backend(str(folder), device="cpu")
    assert api.compress(noise(0.3), backend=second, preset="300") == stream
    assert api.decompress(stream, backend=second).sample_count == 4800
    assert set(second.networks.loaded) == {"vae", "unet", "vocoder"}


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: b"nonsense" * 9, lambda data: data[:-1]], ids=["empty", "other", "short"]
)
def test_a_damaged_empty_prompt_is_made_again(audioldm2_folder, empty_cache, caplog, damage):
    good = embedding(load_backend(str(audioldm2_folder), device="cpu"), "")
    (stored,) = empty_cache.rglob("null-prompt.safetensors")
    whole = stored.read_bytes()
    stored.write_bytes(damage(whole))
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="noisebook"):
        again = embedding(load_backend(str(audioldm2_folder), device="cpu"), "")
    assert [record.getMessage().startswith(str(stored)) for record in caplog.records] == [True]
    assert "made again" in caplog.text
    assert same(again, good)
    assert stored.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(audioldm2_folder, tmp_path, monkeypatch, load):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NOISEBOOK_CACHE", str(tmp_path / "file" / "cache"))
    backend = load_backend(str(audioldm2_folder), device="cpu")
    assert backend.info.fingerprint == load(audioldm2_folder).info.fingerprint
    x = torch.randn(1, 8, 8, 16)
    assert torch.equal(backend.denoise(x, 500), load(audioldm2_folder).denoise(x, 500))
    assert (tmp_path / "file").read_bytes() == b""


def test_the_cache_knows_a_file_that_was_replaced(audioldm2_folder, tmp_path, load):
    """The digest of a weight file is remembered by place, size and time; another file in its place is another model."""
    folder = Path(shutil.copytree(audioldm2_folder, tmp_path / "model"))
    before = load_backend(str(folder), device="cpu").info.fingerprint
    assert before == load(audioldm2_folder).info.fingerprint  # the same contents elsewhere
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert load_backend(str(folder), device="cpu").info.fingerprint != before
