"""Tests for finding and checking the files of an encoder, which needs no torch."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands import WITHOUT_TORCH, run_command
from tests.encoder_directories import write_encoder

from ratchet.config import compose, config_hash, hash_inputs
from ratchet.errors import UserError
from ratchet.neural.encoder_files import find_encoder

NO_TORCH_NEEDED = f"""{WITHOUT_TORCH}
from ratchet.errors import UserError
from ratchet.neural.encoder_files import find_encoder
try:
    find_encoder(sys.argv[1])
except UserError as error:
    print(error)
"""


def drop(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda directory: (directory / name).write_bytes(content)


def test_complete_directory_is_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = write_encoder(tmp_path / "encoder")
    assert find_encoder(str(encoder)) == encoder
    monkeypatch.chdir(tmp_path)
    assert find_encoder("encoder") == Path("encoder")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_encoder("~/encoder") == encoder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("config.json"), "config.json: No such file"),
        (write("config.json", b"{"), "config.json: not valid JSON"),
        (drop("model.safetensors"), "no model.safetensors"),
        (write("model.safetensors", b""), "model.safetensors: not complete safetensors"),
        (write("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"), "not complete safetensors"),
        (lambda directory: write_encoder(directory, b"\0\0"), "not complete safetensors"),
        (drop("tokenizer.json"), "no tokenizer"),
        (
            lambda directory: (
                drop("model.safetensors")(directory),
                write("model.safetensors.index.json", b'{"weight_map": {"weight": "model-1.safetensors"}}')(directory),
            ),
            "model-1.safetensors: no such file",
        ),
    ],
    ids=["no config", "no JSON", "no weights", "empty", "a pointer", "cut short", "no tokenizer", "no shard"],
)
def test_incomplete_directory_names_what_is_missing(
    change: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    encoder = write_encoder(tmp_path / "encoder")
    change(encoder)
    with pytest.raises(UserError) as error:
        find_encoder(str(encoder))
    assert message in str(error.value)
    assert "model.encoder=DIRECTORY" in str(error.value)


@pytest.mark.parametrize("name", ["/nowhere/encoder", "./encoder", "a/b/c", "~/encoder"])
def test_path_without_a_directory_is_not_looked_up_on_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match="no such directory"):
        find_encoder(name)


def test_check_needs_no_torch(tmp_path: Path) -> None:
    done = run_command(sys.executable, "-c", NO_TORCH_NEEDED, "/nowhere/encoder", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "/nowhere/encoder: no such directory" in done.stdout


@pytest.mark.parametrize("model", [["model=transformer"], ["model=cnn"]], ids=str)
def test_files_replaced_in_place_make_another_candidate(model: list[str], tmp_path: Path) -> None:
    encoder = write_encoder(tmp_path / "encoder", b"\0\0\0\0")
    config = compose([*model, f"model.encoder={encoder}"])
    first = hash_inputs(config)
    assert list(first) == ["model.encoder"]
    write_encoder(encoder, b"\0\0\0\1")
    second = hash_inputs(config)
    assert first != second
    assert config_hash(config, first) != config_hash(config, second)
    (encoder / "tokenizer.json").write_text(json.dumps({"version": 1}))
    assert hash_inputs(config) not in (first, second), "all files count, not the weights alone"
    (encoder / ".cache").mkdir()
    (encoder / ".cache" / "downloaded").touch()
    third = hash_inputs(config)
    (encoder / ".cache" / "downloaded").write_text("now")
    assert hash_inputs(config) == third, "hidden files are not read"


@pytest.mark.parametrize(
    "overrides",
    [["model=rule"], ["model=transformer_tiny"], ["model=cnn", "model.tokens=word", "model.encoder=/nowhere"]],
    ids=str,
)
def test_configuration_without_an_encoder_keeps_its_hash(overrides: list[str]) -> None:
    config = compose(overrides)
    assert hash_inputs(config) == {}
    assert config_hash(config, {}) == config_hash(config)
