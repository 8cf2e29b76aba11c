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


def encoder_of(kind: str = "bert") -> PreTrainedModel:
    config = AutoConfig.for_model(kind, vocab_size=20, max_position_embeddings=16, **SIZES[kind])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModel.from_config(config)


def network_of(kind: str = "bert", *, pooling: str = "mean", dropout: float = 0.0) -> Network:
    return initial(encoder_of(kind), pooling=pooling, dropout=dropout, bias=torch.zeros(3), seed=0).eval()


def batch() -> tuple[Tensor, Tensor]:
    """Ids and mask of texts of 5 and 3 tokens; what stands where the mask is false must not matter."""
    ids = torch.tensor([[2, 3, 4, 5, 6], [7, 8, 9, 11, 12]])
    return ids, torch.tensor([[True] * 5, [True] * 3 + [False] * 2])


@torch.inference_mode()
def logits_of(network: Network, ids: Tensor, mask: Tensor) -> Tensor:
    logits: Tensor = network(ids, mask)
    return logits


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_what_is_masked_changes_nothing(pooling: str) -> None:
    network, (ids, mask) = network_of(pooling=pooling), batch()
    together = logits_of(network, ids, mask)
    alone = logits_of(network, ids[1:, :3], mask[1:, :3])
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-6)
    filled = torch.where(mask, ids, 0)
    torch.testing.assert_close(logits_of(network, filled, mask), together, rtol=0, atol=1e-6)


def test_a_text_is_the_mean_over_its_tokens_or_its_first_one() -> None:
    ids, mask = batch()
    for pooling, of in (("mean", lambda hidden: hidden.mean(dim=0)), ("first", lambda hidden: hidden[0])):
        network = network_of(pooling=pooling)
        with torch.inference_mode():
            hidden = network.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
            texts = torch.stack([of(hidden[0]), of(hidden[1, :3])])
            expected = network.output(texts)
        torch.testing.assert_close(logits_of(network, ids, mask), expected, rtol=0, atol=1e-6)


def test_dropout_is_between_pooling_and_the_new_layer() -> None:
    network, (ids, mask) = network_of(dropout=0.5), batch()
    network.dropout.train()  # of the encoder none
    torch.manual_seed(0)
    one, two = logits_of(network, ids, mask), logits_of(network, ids, mask)
    assert not torch.equal(one, two)


def test_the_pooler_that_nothing_reads_is_no_part_of_it() -> None:
    assert any(name.startswith("pooler") for name, _ in encoder_of().named_parameters())
    assert not any("pooler" in name for name, _ in network_of().named_parameters())


@KINDS
@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_what_was_described_is_built_again(kind: str, pooling: str) -> None:
    network = network_of(kind, pooling=pooling, dropout=0.25)
    described = json.loads(json.dumps(describe(network.encoder, pooling=pooling, dropout=0.25)))
    content = json.dumps(described)
    built = build(described, 3)
    assert json.dumps(described) == content, "building leaves the description as it was"
    assert built.dropout.p == 0.25
    assert type(built.encoder) is type(network.encoder)
    built.load_state_dict(network.state_dict())
    assert torch.equal(logits_of(built.eval(), *batch()), logits_of(network, *batch()))


def test_a_description_keeps_what_differs_from_the_defaults() -> None:
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
def test_depth_is_counted_from_the_output_down(name: str, depth: int) -> None:
    assert depth_of(name, LAYERS) == depth


def test_layers_of_two_digits_are_told_apart() -> None:
    assert [depth_of(f"encoder.encoder.layer.{layer}.x", 12) for layer in (1, 10, 11)] == [11, 2, 1]


@KINDS
def test_every_parameter_has_a_rate_that_shrinks_with_its_depth(kind: str) -> None:
    network = network_of(kind)
    rates = learning_rates(network, learning_rate=0.1, head_learning_rate=0.7, layer_decay=0.5)
    assert set(rates) == {name for name, _ in network.named_parameters()}
    by_depth = [0.7, 0.1, 0.05, 0.025, 0.0125]
    for name, rate in rates.items():
        assert rate == pytest.approx(by_depth[depth_of(name, LAYERS)]), name
    assert len(set(rates.values())) == len(by_depth)


def test_without_decay_the_whole_encoder_has_one_rate() -> None:
    rates = learning_rates(network_of(), learning_rate=0.1, head_learning_rate=0.7, layer_decay=1.0)
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
def test_the_lowest_layers_are_frozen_and_what_is_below_them(
    kind: str, layers: int, embeddings: bool, frozen: set[int]
) -> None:
    network = network_of(kind)
    freeze(network, layers, embeddings=embeddings)
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad is (depth_of(name, LAYERS) not in frozen), name


def test_more_layers_than_there_are_leave_the_new_one_free() -> None:
    network = network_of()
    freeze(network, LAYERS + 2, embeddings=False)
    assert {name for name, parameter in network.named_parameters() if parameter.requires_grad} == {
        "output.weight",
        "output.bias",
    }


def test_the_new_layer_is_drawn_from_the_seed_with_the_bias_that_is_given() -> None:
    bias = torch.tensor([0.1, -2.0, 3.0])
    before = torch.get_rng_state()
    drawn = [initial(encoder_of(), pooling="mean", dropout=0.0, bias=bias, seed=seed).output for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn[0].weight, drawn[1].weight)
    assert not torch.equal(drawn[0].weight, drawn[2].weight)
    assert all(torch.equal(each.bias, bias) for each in drawn)
