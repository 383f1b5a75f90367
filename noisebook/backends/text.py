"""Prompts to what the denoisers of the AudioLDM family listen to.

AudioLDM, MusicLDM   text -> CLAP -> one vector [1, 512], beside the time embedding
AudioLDM 2           text -> CLAP, T5 -> projection -> language model, eight steps -> [1, 8, 768]
                     text -> T5 -> [1, L, 1024] with its mask

The language model goes on in embeddings, not in words: at each step its last hidden state is appended to its input
(Liu et al. 2023, "AudioLDM 2", section III-C). Without a cache of keys the loop is the same for every version and
class of the language model, and eight steps over a few dozen vectors cost nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file

from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.backends.cache import write_tensors
from noisebook.backends.checkpoint_folder import Checkpoint
from noisebook.backends.placement import computing
from noisebook.errors import ModelError

Embedding = dict[str, torch.Tensor]  # arguments of the denoiser, batch size 1
Part = Callable[[str], AbstractContextManager[Any]]  # a network by its part, for as long as it is needed
_MOST_TOKENS = 512
_LANGUAGE_MODEL_STEPS = 8  # of every published checkpoint

_log = logging.getLogger(__name__)


class EncodedPrompt(NamedTuple):
    """A prompt as tensors, and the words that did not fit."""

    embedding: Embedding
    dropped: tuple[str, ...] = ()


class Prompts:
    """The prompts of a model, each encoded once; that of the empty text once and for all, in the file `store`."""

    def __init__(self, encode: Callable[[str], EncodedPrompt], store: Path) -> None:
        self._encode, self._store = encode, store
        self._known: dict[str, EncodedPrompt] = {}

    def __call__(self, text: str) -> EncodedPrompt:
        text = text.strip()
        if text not in self._known:
            self._known[text] = self._encoded(text) if text else self._null()
        return self._known[text]

    def _encoded(self, text: str) -> EncodedPrompt:
        with torch.no_grad(), computing("the text encoder"):
            return self._encode(text)

    def _null(self) -> EncodedPrompt:
        try:
            if self._store.is_file():
                return EncodedPrompt(load_file(self._store))
        except (OSError, SafetensorError) as error:
            _log.warning("%s is damaged (%s); it is made again", self._store, error)
        prompt = self._encoded("")
        write_tensors(self._store, prompt.embedding)
        return prompt


def language_model_steps(base: torch.nn.Module, x: torch.Tensor, mask: torch.Tensor, steps: int) -> torch.Tensor:
    """The `steps` vectors `[B, steps, D]` with which a language model continues the vectors `[B, L, D]`.

    `base` is a transformer without a head; `mask` `[B, L]` is 0 where a vector is padding.
    """
    for _ in range(steps):
        hidden = base(inputs_embeds=x, attention_mask=mask, use_cache=False).last_hidden_state[:, -1:]
        x, mask = torch.cat((x, hidden), dim=1), torch.cat((mask, mask.new_ones(len(mask), 1)), dim=1)
    return x[:, -steps:]


def _audioldm2(text: str, part: Part, checkpoint: Checkpoint) -> EncodedPrompt:
    heard, words = _clap_tokens(checkpoint, text), tokens(checkpoint.preprocessor("tokenizer_2"), text)
    with part("text_encoder") as encoder:
        clap = _clap_features(encoder, heard)[:, None]
    mask = words.mask.to(clap.device)
    with part("text_encoder_2") as encoder:
        t5 = encoder(words.ids.to(clap.device), attention_mask=mask)[0]
    with part("projection_model") as projection:
        projected = projection(
            hidden_states=clap, hidden_states_1=t5, attention_mask=mask.new_ones(1, 1), attention_mask_1=mask
        )
    steps = checkpoint.config("language_model").get("max_new_tokens") or _LANGUAGE_MODEL_STEPS
    with part("language_model") as base:
        generated = language_model_steps(base, projected.hidden_states, projected.attention_mask, steps)
    embedding = {"encoder_hidden_states": generated, "encoder_hidden_states_1": t5, "encoder_attention_mask_1": mask}
    return EncodedPrompt(embedding, words.dropped)


def _audioldm(text: str, part: Part, checkpoint: Checkpoint) -> EncodedPrompt:
    words = _clap_tokens(checkpoint, text)
    with part("text_encoder") as encoder:
        features = encoder(words.ids.to(encoder.device), attention_mask=words.mask.to(encoder.device)).text_embeds
    return EncodedPrompt({"class_labels": F.normalize(features, dim=-1)}, words.dropped)


def _musicldm(text: str, part: Part, checkpoint: Checkpoint) -> EncodedPrompt:
    words = _clap_tokens(checkpoint, text)
    with part("text_encoder") as encoder:
        features = _clap_features(encoder, words)
    return EncodedPrompt({"class_labels": features}, words.dropped)


# By the pipeline's class: how it encodes a text, given its networks.
ENCODERS: dict[str, Callable[[str, Part, Checkpoint], EncodedPrompt]] = {
    "AudioLDM2Pipeline": _audioldm2,
    "AudioLDMPipeline": _audioldm,
    "MusicLDMPipeline": _musicldm,
}


class Tokens(NamedTuple):
    """A text as a tokenizer sees it: ids and mask `[1, L]`, and the words that the model's length cut off."""

    ids: torch.Tensor
    mask: torch.Tensor
    dropped: tuple[str, ...]


def tokens(tokenizer: Any, text: str, *, padding: str | bool = True) -> Tokens:
    """The tokens of a text; padding as the tokenizer's argument."""
    longest = min(tokenizer.model_max_length, _MOST_TOKENS)  # a tokenizer without a length has an absurd one
    inputs = tokenizer(text, padding=padding, max_length=longest, truncation=True, return_tensors="pt")
    whole = tokenizer(text, return_tensors="pt", verbose=False).input_ids  # its length is no news
    kept = int(inputs.attention_mask.sum())
    dropped = tokenizer.decode(whole[0, kept - 1 :], skip_special_tokens=True).split() if whole.shape[1] > kept else ()
    return Tokens(inputs.input_ids, inputs.attention_mask, tuple(dropped))


def _clap_tokens(checkpoint: Checkpoint, text: str) -> Tokens:
    return tokens(checkpoint.preprocessor("tokenizer"), text, padding="max_length")


def clap_of_text(clap: Any, checkpoint: Checkpoint, text: str) -> torch.Tensor:
    """The unit vector `[1, 512]` that CLAP makes of a text."""
    return F.normalize(_clap_features(clap, _clap_tokens(checkpoint, text)), dim=-1)


def clap_of_sounds(clap: Any, checkpoint: Checkpoint, samples: torch.Tensor, sample_rate: int) -> torch.Tensor:
    """The unit vectors `[B, 512]` that CLAP makes of sounds `[B, N]`; of longer ones it hears the middle 10 s."""
    extractor = checkpoint.preprocessor("feature_extractor")
    rate, longest = extractor.sampling_rate, extractor.nb_max_samples
    vectors = []
    for sound in samples.cpu().numpy():
        heard = resample(Waveform(sound[None], sample_rate), rate).samples[0]
        start = max(0, (len(heard) - longest) // 2)  # it would draw another start each time
        inputs = extractor(heard[start : start + longest], sampling_rate=rate, return_tensors="pt").to(clap.device)
        vectors.append(_vector(clap.get_audio_features(**inputs)))
    return F.normalize(torch.cat(vectors), dim=-1)


def _clap_features(clap: Any, words: Tokens) -> torch.Tensor:
    """CLAP's vector `[1, 512]` of a text."""
    return _vector(clap.get_text_features(words.ids.to(clap.device), attention_mask=words.mask.to(clap.device)))


def _vector(features: Any) -> torch.Tensor:
    """An object with the vector in it since transformers 5, the vector itself before."""
    features = getattr(features, "pooler_output", features)
    if not isinstance(features, torch.Tensor):
        raise ModelError(f"CLAP gives {type(features).__name__} and no vector; this version of transformers is unknown")
    return features
