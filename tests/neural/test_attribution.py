"""Tests for the words that explain a network's labels: correct, complete, and adding up to the logits."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logit
from tests.datasets import fit_context

from ratchet.config import compose
from ratchet.data.dataset import Dataset
from ratchet.errors import UserError
from ratchet.extras import install_command
from ratchet.models import tagger_class
from ratchet.neural import attribution
from ratchet.taggers import Explainer, Tagger

MODELS = {
    "cnn": ["model=cnn", "model.filters=16", "model.embedding_size=16"],
    "transformer_tiny": ["model=transformer_tiny", "model.random.hidden_size=16"],
}


@pytest.fixture(scope="module", params=MODELS)
def tagger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    from tests.datasets import make_toy_dataset

    settings = compose([*MODELS[request.param], "model.max_epochs=30", "model.patience=30"]).model
    tagger = tagger_class(settings.module)(settings)
    train: Dataset = make_toy_dataset(36)
    tagger.fit(train, train, fit_context(tmp_path_factory.mktemp("checkpoints")))
    return tagger


def test_neural_taggers_are_explainers(tagger: Tagger) -> None:
    assert isinstance(tagger, Explainer)


def test_explanation_of_label_starts_with_topic_word(tagger: Explainer) -> None:
    [evidence] = tagger.explain(["Camera pictures, somehow"])
    first = next(item for item in evidence if item.label == "vision")
    assert first.words in {"camera", "pictures"}
    assert first.weight > 0
    assert all(len(item.words) > 2 for item in evidence), "complete words, not sub-word tokens"


def test_weights_sum_to_logit_difference_from_padding(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "_MOST", 100)
    monkeypatch.setattr(attribution, "_STEPS", 400)
    monkeypatch.setattr(attribution, "_of_words", lambda encoding, text, shares: [("all", float(shares.sum()))])
    monkeypatch.setattr(attribution, "_WORTH_EXPLAINING", 0.0)
    text = "camera lens pictures"
    classifier = tagger._classifier.network  # type: ignore[attr-defined]
    encoding = classifier.tokenizer.encode(text)
    ids = torch.tensor([encoding.ids])
    baseline_ids = torch.where(torch.tensor([encoding.special_tokens_mask]) == 1, ids, classifier.padding)
    with torch.no_grad():
        baseline = classifier.network(baseline_ids, torch.ones_like(ids, dtype=torch.bool))
    expected = logit(tagger.predict_proba([text])[0].astype(float)) - baseline[0].numpy()
    [evidence] = tagger.explain([text])  # type: ignore[attr-defined]
    weights = {item.label: item.weight for item in evidence}
    np.testing.assert_allclose([weights[label] for label in classifier.labels], expected, atol=0.05)


def test_text_without_tokens_has_no_evidence(tagger: Explainer) -> None:
    assert tagger.explain(["", " \t"]) == [[], []]


def test_missing_captum_error_names_extra(tagger: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "captum"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(UserError, match="captum") as caught:
        tagger.explain(["camera"])
    assert str(caught.value).endswith(install_command("explain"))


def test_explain_does_not_change_scores(tagger: Tagger, tmp_path: Path, make_dataset: Callable[..., Dataset]) -> None:
    texts = make_dataset(5).texts
    before = tagger.predict_proba(texts)
    tagger.explain(texts)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(tagger.predict_proba(texts), before)
