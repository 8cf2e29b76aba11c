"""The words behind a network's labels: the right ones, whole, adding up to what the network says."""

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
from ratchet.models import tagger_class
from ratchet.neural import attribution
from ratchet.taggers import Explainer, Tagger

MODELS = {
    "cnn": ["model=cnn", "model.filters=16", "model.embedding_size=16"],
    "transformer_tiny": ["model=transformer_tiny", "model.random.hidden_size=16"],
}


@pytest.fixture(scope="module", params=MODELS)
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    from tests.datasets import make_toy_dataset

    settings = compose([*MODELS[request.param], "model.max_epochs=30", "model.patience=30"]).model
    tagger = tagger_class(settings.module)(settings)
    train: Dataset = make_toy_dataset(36)
    tagger.fit(train, train, fit_context(tmp_path_factory.mktemp("checkpoints")))
    return tagger


def test_networks_explain_themselves(fitted: Tagger) -> None:
    assert isinstance(fitted, Explainer)


def test_the_words_of_a_topic_speak_for_its_label(fitted: Explainer) -> None:
    [evidence] = fitted.explain(["Camera pictures, somehow"])
    first = next(each for each in evidence if each.label == "vision")
    assert first.words in {"camera", "pictures"}
    assert first.weight > 0
    assert all(len(each.words) > 2 for each in evidence), "whole words, not the pieces that the network sees"


def test_the_shares_add_up_to_the_distance_of_the_logit_from_that_of_padding(
    fitted: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribution, "_MOST", 100)
    monkeypatch.setattr(attribution, "_STEPS", 400)
    monkeypatch.setattr(attribution, "_of_words", lambda encoding, text, shares: [("all", float(shares.sum()))])
    monkeypatch.setattr(attribution, "_WORTH_EXPLAINING", 0.0)
    text = "camera lens pictures"
    classifier = fitted._classifier.network  # type: ignore[attr-defined]
    encoding = classifier.tokenizer.encode(text)
    ids = torch.tensor([encoding.ids])
    nothing = torch.where(torch.tensor([encoding.special_tokens_mask]) == 1, ids, classifier.padding)
    with torch.no_grad():
        blank = classifier.network(nothing, torch.ones_like(ids, dtype=torch.bool))
    expected = logit(fitted.predict_proba([text])[0].astype(float)) - blank[0].numpy()
    [evidence] = fitted.explain([text])  # type: ignore[attr-defined]
    found = {each.label: each.weight for each in evidence}
    np.testing.assert_allclose([found[label] for label in classifier.labels], expected, atol=0.05)


def test_a_text_without_a_token_has_no_evidence(fitted: Explainer) -> None:
    assert fitted.explain(["", " \t"]) == [[], []]


def test_without_captum_the_extra_is_named(fitted: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "captum"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(UserError, match=r"ratchet\[explain\].*pip install .*\[explain\]'"):
        fitted.explain(["camera"])


def test_explaining_changes_no_score(fitted: Tagger, tmp_path: Path, make_dataset: Callable[..., Dataset]) -> None:
    texts = make_dataset(5).texts
    before = fitted.predict_proba(texts)
    fitted.explain(texts)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(fitted.predict_proba(texts), before)
