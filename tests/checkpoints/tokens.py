"""Small tokenizers of the two kinds that the family uses, trained on a few sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import RobertaTokenizerFast, T5TokenizerFast

__all__ = ["SENTENCES", "roberta_tokenizer", "t5_tokenizer"]

SENTENCES = (
    "A dog barks twice in the distance while rain falls on a tin roof.",
    "Techno music with a strong, upbeat tempo and high melodic riffs.",
    "A hammer hitting a wooden surface, followed by footsteps on gravel.",
    "A woman speaks calmly in a large hall; the audience applauds.",
    "Solo piano, slow and quiet, with a long reverberation.",
    "Low quality, average quality.",
)


def roberta_tokenizer(folder: Path) -> RobertaTokenizerFast:
    """Byte-level BPE with RoBERTa's special tokens at their usual ids; `folder` receives its files.

    Prompts are padded to 512 tokens, as with the CLAP of the published checkpoints.
    """
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(SENTENCES, vocab_size=320, special_tokens=special, show_progress=False)
    folder.mkdir(parents=True, exist_ok=True)
    trained.save_model(str(folder))
    return _reopened(RobertaTokenizerFast, folder, model_max_length=512)


def t5_tokenizer(folder: Path) -> T5TokenizerFast:
    """Unigram pieces with T5's special tokens at their usual ids; `folder` receives its files.

    At most 128 tokens, as AudioLDM 2 and Stable Audio Open were trained; the empty text is the token `</s>` alone.
    """
    from tokenizers import SentencePieceUnigramTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import T5TokenizerFast

    trained = SentencePieceUnigramTokenizer()
    special = ["<pad>", "</s>", "<unk>"]
    trained.train_from_iterator(
        SENTENCES, vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    trained.post_processor = TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", trained.token_to_id("</s>"))]
    )
    folder.mkdir(parents=True, exist_ok=True)
    trained.save(str(folder / "tokenizer.json"))
    return _reopened(T5TokenizerFast, folder, model_max_length=128, extra_ids=0)


def _reopened(tokenizer_class, folder: Path, **options):  # type: ignore[no-untyped-def]
    """The tokenizer of the files in `folder`, opened as a checkpoint's is: offline, by class."""
    settings = {"tokenizer_class": tokenizer_class.__name__, **options}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer_class.from_pretrained(folder, local_files_only=True)
