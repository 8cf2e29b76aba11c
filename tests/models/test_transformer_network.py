import json
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, BertConfig, BertModel, PreTrainedModel

from ratchet.models.transformer_network import Network, build, depth_of, describe, freeze, initial, learning_rates

LAYERS = 3
SIZES: dict[str, dict[str, Any]] = {
    "bert": {"num_hidden_layers": LAYERS, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 16},
    "distilbert": {"n_layers": LAYERS, "n_heads": 2, "dim": 8, "hidden_dim": 16},
    "roberta": {"num_hidden_layers": LAYERS, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 16},
}
KINDS = pytest.mark.parametrize("kind", SIZES)


def make_encoder(kind: str = "bert") -> PreTrainedModel:
    config = AutoConfig.for_model(kind, vocab_size=20, max_position_embeddings=16, **SIZES[kind])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModel.from_config(config)


def make_network(kind: str = "bert", *, pooling: str = "mean", dropout: float = 0.0) -> Network:
    return initial(make_encoder(kind), pooling=pooling, dropout=dropout, bias=torch.zeros(3), seed=0).eval()


def make_batch() -> tuple[Tensor, Tensor]:
    """Return ids and mask of texts of 5 and 3 tokens; ids where the mask is false must not matter."""
    ids = torch.tensor([[2, 3, 4, 5, 6], [7, 8, 9, 11, 12]])
    return ids, torch.tensor([[True] * 5, [True] * 3 + [False] * 2])


@torch.inference_mode()
def compute_logits(network: Network, ids: Tensor, mask: Tensor) -> Tensor:
    logits: Tensor = network(ids, mask)
    return logits


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_masked_tokens_do_not_change_logits(pooling: str) -> None:
    network, (ids, mask) = make_network(pooling=pooling), make_batch()
    together = compute_logits(network, ids, mask)
    alone = compute_logits(network, ids[1:, :3], mask[1:, :3])
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-6)
    filled = torch.where(mask, ids, 0)
    torch.testing.assert_close(compute_logits(network, filled, mask), together, rtol=0, atol=1e-6)


def test_pooling_takes_mean_or_first_token() -> None:
    ids, mask = make_batch()
    for pooling, pool in (("mean", lambda hidden: hidden.mean(dim=0)), ("first", lambda hidden: hidden[0])):
        network = make_network(pooling=pooling)
        with torch.inference_mode():
            hidden = network.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
            texts = torch.stack([pool(hidden[0]), pool(hidden[1, :3])])
            expected = network.output(texts)
        torch.testing.assert_close(compute_logits(network, ids, mask), expected, rtol=0, atol=1e-6)


def test_dropout_layer_changes_logits_in_training() -> None:
    network, (ids, mask) = make_network(dropout=0.5), make_batch()
    network.dropout.train()  # the encoder stays in evaluation mode
    torch.manual_seed(0)
    first, second = compute_logits(network, ids, mask), compute_logits(network, ids, mask)
    assert not torch.equal(first, second)


def test_unused_pooler_is_removed_from_network() -> None:
    assert any(name.startswith("pooler") for name, _ in make_encoder().named_parameters())
    assert not any("pooler" in name for name, _ in make_network().named_parameters())


@KINDS
@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_network_is_rebuilt_from_its_description(kind: str, pooling: str) -> None:
    network = make_network(kind, pooling=pooling, dropout=0.25)
    description = json.loads(json.dumps(describe(network.encoder, pooling=pooling, dropout=0.25)))
    content = json.dumps(description)
    built = build(description, 3)
    assert json.dumps(description) == content, "build must not change the description"
    assert built.dropout.p == 0.25
    assert type(built.encoder) is type(network.encoder)
    built.load_state_dict(network.state_dict())
    assert torch.equal(compute_logits(built.eval(), *make_batch()), compute_logits(network, *make_batch()))


def test_description_keeps_nondefault_encoder_settings() -> None:
    config = BertConfig(vocab_size=20, **SIZES["bert"], hidden_act="relu", layer_norm_eps=0.5)
    built = build(describe(BertModel(config), pooling="mean", dropout=0.0), 3)
    assert (built.encoder.config.hidden_act, built.encoder.config.layer_norm_eps) == ("relu", 0.5)


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("output.weight", 0),
        ("output.bias", 0),
        ("encoder.encoder.layer.2.output.dense.weight", 1),
        ("encoder.encoder.layer.0.attention.output.dense.bias", 3),
        ("encoder.transformer.layer.1.ffn.lin1.weight", 2),  # DistilBERT
        ("encoder.layers.2.mlp.Wi.weight", 1),  # ModernBERT
        ("encoder.embeddings.word_embeddings.weight", 4),
        ("encoder.embeddings.LayerNorm.bias", 4),
    ],
)
def test_depth_counts_layers_from_the_output(name: str, depth: int) -> None:
    assert depth_of(name, LAYERS) == depth


def test_depth_parses_two_digit_layer_numbers() -> None:
    assert [depth_of(f"encoder.encoder.layer.{layer}.x", 12) for layer in (1, 10, 11)] == [11, 2, 1]


@KINDS
def test_learning_rate_of_every_parameter_decays_with_depth(kind: str) -> None:
    network = make_network(kind)
    rates = learning_rates(network, learning_rate=0.1, head_learning_rate=0.7, layer_decay=0.5)
    assert set(rates) == {name for name, _ in network.named_parameters()}
    by_depth = [0.7, 0.1, 0.05, 0.025, 0.0125]
    for name, rate in rates.items():
        assert rate == pytest.approx(by_depth[depth_of(name, LAYERS)]), name
    assert len(set(rates.values())) == len(by_depth)


def test_encoder_has_one_learning_rate_without_decay() -> None:
    rates = learning_rates(make_network(), learning_rate=0.1, head_learning_rate=0.7, layer_decay=1.0)
    assert {rate for name, rate in rates.items() if name.startswith("encoder.")} == {0.1}


@KINDS
@pytest.mark.parametrize(
    ("layers", "embeddings", "frozen"),
    [
        (0, False, set()),
        (0, True, {4}),
        (1, False, {4, 3}),
        (2, True, {4, 3, 2}),
        (3, False, {4, 3, 2, 1}),
    ],
)
def test_freeze_covers_lowest_layers_and_embeddings(kind: str, layers: int, embeddings: bool, frozen: set[int]) -> None:
    network = make_network(kind)
    freeze(network, layers, embeddings=embeddings)
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad is (depth_of(name, LAYERS) not in frozen), name


def test_freezing_too_many_layers_keeps_output_trainable() -> None:
    network = make_network()
    freeze(network, LAYERS + 2, embeddings=False)
    assert {name for name, parameter in network.named_parameters() if parameter.requires_grad} == {
        "output.weight",
        "output.bias",
    }


def test_output_layer_is_seeded_and_has_given_bias() -> None:
    bias = torch.tensor([0.1, -2.0, 3.0])
    before = torch.get_rng_state()
    layers = [initial(make_encoder(), pooling="mean", dropout=0.0, bias=bias, seed=seed).output for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert not torch.equal(layers[0].weight, layers[2].weight)
    assert all(torch.equal(layer.bias, bias) for layer in layers)
