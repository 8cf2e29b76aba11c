"""Tests that configurations keep their hash when fields are renamed or added: it identifies finished runs."""

from dataclasses import dataclass

import pytest
from tests.commands import CONF

from ratchet.config import compose, config_hash, identity

# Computed at commit 4956d88. A changed value would orphan the existing runs of users: do not update it.
PINNED = {
    "model=cnn": "00548f793f4b2bbaa5086c9bfe21493cf63a290376ea097ed06c77619c51e77b",
    "model=regression": "2198d424d9b914ab646236e495aca9300421acaf0fa4b05efdc05376b5e78a18",
    "model=rule": "596311f83adc9561c80f229489de96f4ed9a34dccaabf0976722ef0d8d63f529",
    "model=transformer": "84f2b29e2833174a1cade542f67fc56f724677d3464c527303738b4a2a610685",
    "model=transformer_tiny": "a154cb2de7f855fdf3a3f74f57c25e119f6b6164051d9f31428aab5fa6f840c4",
    "experiment=regression_words": "06db1fc622e50b373f80d56c40d4ee9b7519b00563d38d661bda9fa8b25d8d62",
    "experiment=rule_exact": "174170002bc91b2ebf0309f07249b653d8aae1f4e02ee5bba925611de870d6b9",
    "experiment=transformer_alone": "5bb662763e8d4d9620357b1af5b4fc231d4fa3f651986ad006e40ad8637cfb21",
}


def test_every_model_and_experiment_has_a_pinned_hash() -> None:
    files = {f"{group}={path.stem}" for group in ("model", "experiment") for path in (CONF / group).glob("*.yaml")}
    assert files == set(PINNED)


@pytest.mark.parametrize("override", PINNED)
def test_config_hash_equals_pinned_value(override: str) -> None:
    assert config_hash(compose([override])) == PINNED[override]


@dataclass
class Before:
    share: float = 0.5


@dataclass
class After:
    weight: float = 0.5
    bags: int = 1


def test_renamed_field_is_hashed_by_its_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(identity._HASHED_AS, "weight", "share")
    monkeypatch.setitem(identity._NEUTRAL, "After.bags", 1)
    assert identity.hashed(After()) == identity.hashed(Before())
    assert identity.hashed(After(weight=0.4)) == identity.hashed(Before(share=0.4))


def test_added_field_is_hashed_only_if_not_neutral(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(identity._HASHED_AS, "weight", "share")
    monkeypatch.setitem(identity._NEUTRAL, "After.bags", 1)
    assert identity.hashed(After(bags=2)) == {"share": 0.5, "bags": 2}
