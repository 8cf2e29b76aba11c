"""Encoders and their tokenizers: from a package, a directory or the Hugging Face hub, or random ones.

Weights are read from safetensors only, and code that comes with a model is never run.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from ratchet.neural.encoder_files import explain_encoder, find_encoder, summarise_error
from ratchet.neural.settings import Tokens
from ratchet.neural.tokens import PADDING, learn_tokenizer, limit_length


def pretrained(name: str, max_length: int) -> tuple[PreTrainedModel, Tokenizer, int]:
    """Return the encoder `name`, its tokenizer (truncating at `max_length` tokens) and the id of its padding token.

    `name` is a directory, a name on the Hugging Face hub, or all-MiniLM-L6-v2, which an installed package contains.

    Raises:
        UserError: there is no such encoder, or its weights have the wrong checksum.
    """
    location = str(find_encoder(name))
    try:
        with _quiet():
            encoder, tokenizer = _load(location)
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise explain_encoder(name, summarise_error(error)) from error
    backend = tokenizer.backend_tokenizer
    positions = getattr(encoder.config, "max_position_embeddings", max_length)
    limit_length(backend, min(max_length, tokenizer.model_max_length, positions))
    return encoder, backend, int(tokenizer.pad_token_id or 0)


def pretrained_embeddings(name: str, max_length: int) -> tuple[Tokenizer, int, Tensor]:
    """Return tokenizer, padding token and embeddings, of shape (vocabulary size, size), of the encoder `name`.

    Raises:
        UserError: as `pretrained` does.
    """
    encoder, tokenizer, padding = pretrained(name, max_length)
    layer = encoder.get_input_embeddings()
    assert isinstance(layer, nn.Embedding)
    return tokenizer, padding, layer.weight.detach()[: tokenizer.get_vocab_size()]  # some tables have unused rows


def _load(location: str) -> tuple[PreTrainedModel, Any]:
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    encoder, report = AutoModel.from_pretrained(
        location, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
    )
    if missing := sorted(name for name in report["missing_keys"] if "pooler." not in name):
        raise ValueError(
            f"{location}: its weights lack {missing[0]} (and {len(missing) - 1} more), which would be random"
        )
    tokenizer = AutoTokenizer.from_pretrained(location, use_fast=True, **options)
    if tokenizer.backend_tokenizer.get_vocab_size() <= len(tokenizer.all_special_tokens):
        raise ValueError(f"{location}: contains no vocabulary (tokenizer.json or similar)")
    return encoder, tokenizer


def random_encoder(
    texts: Sequence[str], *, layers: int, hidden_size: int, heads: int, vocabulary_size: int, max_length: int, seed: int
) -> tuple[PreTrainedModel, Tokenizer, int]:
    """Return a small BERT with random weights from `seed` and sub-words learnt from `texts`; see `pretrained`."""
    tokenizer = learn_tokenizer(texts, Tokens.subword, vocabulary_size=vocabulary_size, min_count=1)
    limit_length(tokenizer, max_length)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden_size,
        max_position_embeddings=max_length,
        pad_token_id=PADDING,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertModel(config), tokenizer, PADDING


@contextmanager
def _quiet() -> Iterator[None]:
    """Switch off the progress bars and advice of transformers while a model loads: errors are raised."""
    bars, level = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
