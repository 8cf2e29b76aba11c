import pytest
import torch

from ratchet.config import Accelerator, TrainerConfig, compose
from ratchet.errors import UserError
from ratchet.neural.devices import check_devices
from ratchet.neural.settings import Imbalance, NeuralSettings, number_of_processes


@pytest.mark.parametrize("model", ["cnn", "transformer_tiny"])
@pytest.mark.parametrize(
    ("key", "value", "message"),
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
        ("teacher_share", "1.1", "1"),
        ("teacher_share", "-0.1", "0"),
        ("lexical_share", "1.1", "1"),
        ("lexical_share", "-0.1", "0"),
    ],
)
def test_setting_out_of_bounds_error_names_setting(model: str, key: str, value: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        compose([f"model={model}", f"model.{key}={value}"])
    assert f"model.{key}" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize("model", ["cnn", "transformer", "transformer_tiny"])
def test_every_imbalance_treatment_is_an_override(model: str) -> None:
    for imbalance in Imbalance:
        settings = compose([f"model={model}", f"model.imbalance={imbalance.name}"]).model
        assert isinstance(settings, NeuralSettings)
        assert settings.imbalance is imbalance


@pytest.mark.parametrize("model", ["cnn", "transformer", "transformer_tiny"])
@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("lexical.C=0", ["model.lexical.C", "above 0"]),
        ("lexical.min_df=0", ["model.lexical.min_df", "at least 1"]),
        ("lexical.char_ngrams=[3]", ["model.lexical.char_ngrams", "[shortest, longest]"]),
        ("lexical.stop_words=german", ["model.lexical.stop_words", "english"]),
        ("lexical.mention_wait=1", ["mention_wait", "mention_weight"]),
    ],
)
def test_invalid_lexical_setting_error_names_setting(model: str, override: str, parts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        compose([f"model={model}", "model.teacher_share=0.5", f"model.{override}"])
    for part in parts:
        assert part in str(error.value)


def test_lexical_settings_without_shares_are_rejected() -> None:
    no_shares = ["model=cnn", "model.teacher_share=0", "model.lexical_share=0"]
    compose(no_shares)
    with pytest.raises(UserError, match=r"model\.lexical=.*model\.teacher_share"):
        compose([*no_shares, "model.lexical.C=5"])
    for share in ("teacher_share", "lexical_share"):
        settings = compose([*no_shares, f"model.{share}=0.1", "model.lexical.C=5"]).model
        assert isinstance(settings, NeuralSettings)
        assert settings.lexical.C == 5


@pytest.mark.parametrize(
    ("devices", "gpus", "processes"), [(1, 0, 1), (2, 0, 2), (2, 4, 2), (None, 0, 1), (None, 1, 1), (None, 4, 4)]
)
def test_one_process_per_gpu_unless_devices_is_set(
    devices: int | None, gpus: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert number_of_processes(TrainerConfig(accelerator=Accelerator.gpu, devices=devices)) == processes


def test_more_processes_than_gpus_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"trainer\.devices=3: .*\b2 GPUs.*trainer=ddp_cpu"):
        check_devices(TrainerConfig(accelerator=Accelerator.gpu, devices=3))
    for accelerator, devices in ((Accelerator.gpu, 2), (Accelerator.gpu, None), (Accelerator.cpu, 3)):
        check_devices(TrainerConfig(accelerator=accelerator, devices=devices))
