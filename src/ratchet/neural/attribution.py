"""Attribute a network's logits to words: captum's integrated gradients (Sundararajan et al. 2017), summed by word."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ratchet.extras import require_extra
from ratchet.neural.text_classifier import TextClassifier
from ratchet.neural.tokens import encode

if TYPE_CHECKING:
    from tokenizers import Encoding

_STEPS, _BATCH = 32, 16
_WORTH_EXPLAINING, _MOST = 0.1, 5  # the lowest score of a label that is explained; words per label

Shares = list[tuple[str, str, float]]


def attribute(classifier: TextClassifier, embedding: nn.Module, texts: Sequence[str]) -> list[Shares]:
    """Return (label, word, share) for each text, strongest first: the evidence for labels with a score of at least .1.

    A share is in log-odds: how much the word adds to the label's logit, compared with padding in every position.
    `embedding` is the network's layer of token embeddings.

    Raises:
        UserError: captum is not installed.
    """
    require_extra("explain", what="explaining a network")
    from captum.attr import LayerIntegratedGradients

    classifier.network.eval()
    gradients = LayerIntegratedGradients(classifier.network, embedding)
    explained = []
    for text, scores in zip(texts, classifier.predict_proba(texts), strict=True):
        [encoding] = encode(classifier.tokenizer, [text])
        shares: Shares = []
        for label in np.flatnonzero(scores >= _WORTH_EXPLAINING) if encoding.ids else []:
            of_tokens = _of_tokens(gradients, encoding, classifier.padding, int(label))
            shares += [(classifier.labels[label], word, share) for word, share in _of_words(encoding, text, of_tokens)]
        explained.append(sorted(shares, key=lambda evidence: -evidence[2]))
    return explained


def _of_tokens(gradients: "object", encoding: "Encoding", padding: int, label: int) -> Tensor:
    """Return the share of each token, shape (length,). Special tokens are in the baseline too, so theirs is 0."""
    ids = torch.tensor([encoding.ids])
    special = torch.tensor([encoding.special_tokens_mask], dtype=torch.bool)
    attributions: Tensor = gradients.attribute(  # type: ignore[attr-defined]
        ids,
        baselines=torch.where(special, ids, padding),
        target=label,
        additional_forward_args=(torch.ones_like(ids, dtype=torch.bool),),
        n_steps=_STEPS,
        internal_batch_size=_BATCH,
    )
    return attributions.sum(dim=-1)[0].detach()


def _of_words(encoding: "Encoding", text: str, of_tokens: Tensor) -> list[tuple[str, float]]:
    """Return the words with the largest shares, each summed over its occurrences."""
    places: dict[int, tuple[int, int, float]] = {}
    for word, (start, end), share in zip(encoding.word_ids, encoding.offsets, of_tokens.tolist(), strict=True):
        if word is not None:
            first, _, before = places.get(word, (start, end, 0.0))
            places[word] = (first, end, before + share)
    shares: dict[str, float] = {}
    for start, end, share in places.values():
        name = text[start:end].casefold().strip()
        if name:
            shares[name] = shares.get(name, 0.0) + share
    strongest = sorted(shares.items(), key=lambda item: -item[1])[:_MOST]
    return [(name, share) for name, share in strongest if share > 0]
