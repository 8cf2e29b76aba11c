import pytest

from ratchet.config import compose
from ratchet.errors import UserError
from ratchet.neural.settings import Imbalance, NeuralSettings


@pytest.mark.parametrize("model", ["cnn", "transformer_tiny"])
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("max_length", "0", "at least 1"),
        ("batch_size", "0", "at least 1"),
        ("max_epochs", "0", "at least 1"),
        ("patience", "0", "at least 1"),
        ("learning_rate", "0", "above 0"),
        ("learning_rate", "nan", "above 0"),
        ("weight_decay", "-0.1", "at least 0"),
        ("warmup", "1.1", "1"),
        ("warmup", "-0.1", "0"),
        ("gradient_clip", "0", "above 0"),
        ("pos_weight_power", "1.5", "1"),
        ("focal_gamma", "-1", "at least 0"),
        ("imbalance", "oversample", "pos_weight"),
    ],
)
def test_a_setting_out_of_bounds_is_named(model: str, key: str, value: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        compose([f"model={model}", f"model.{key}={value}"])
    assert f"model.{key}" in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("model", ["cnn", "transformer", "transformer_tiny"])
def test_each_way_to_treat_rare_labels_is_an_override(model: str) -> None:
    for imbalance in Imbalance:
        settings = compose([f"model={model}", f"model.imbalance={imbalance.name}"]).model
        assert isinstance(settings, NeuralSettings)
        assert settings.imbalance is imbalance
