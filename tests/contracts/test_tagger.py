"""Tests of the Tagger contract for every conf/model/*.yaml: a new model is tested without a change here.

The checks are those of `ratchet models check NAME`. This suite adds texts that hypothesis invents.
"""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ratchet.config import compose
from ratchet.contract import CHECKS, Check, Subject, make_subject
from ratchet.contract.subject import require_scores
from ratchet.models import packaged_modules
from ratchet.project import PACKAGED

CONFIGS = sorted(path.stem for path in (PACKAGED / "conf" / "model").glob("*.yaml"))
LARGE = ["transformer"]  # one epoch takes as long as all epochs of the other models


@pytest.fixture(scope="module", params=CONFIGS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Return a model with the fitted taggers that checks share."""
    settings = compose([f"model={request.param}"]).model
    directory = tmp_path_factory.mktemp("contract")
    return make_subject(settings, directory, max_epochs=1 if request.param in LARGE else 2)


def test_every_model_module_has_a_config() -> None:
    assert {compose([f"model={name}"]).model.module for name in CONFIGS} == set(packaged_modules())


@pytest.mark.parametrize("check", CHECKS, ids=[check.name for check in CHECKS])
def test_model_fulfils_the_contract(subject: Subject, check: Check) -> None:
    check.run(subject)


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6))
@hypothesis_settings(max_examples=50, deadline=None)
def test_scores_of_any_texts_satisfy_the_contract(subject: Subject, texts: list[str]) -> None:
    require_scores(subject.fitted.predict_proba(texts), len(texts), 3)
