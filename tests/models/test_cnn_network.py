from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ratchet.models.cnn_network import Network, TunedEmbedding, build

ARCHITECTURE: dict[str, Any] = {
    "vocabulary_size": 20,
    "embedding_size": 6,
    "widths": [1, 2, 3, 4, 5],
    "filters": 7,
    "dropout": 0.0,
    "padding": 0,
}


def make_network(**overrides: Any) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(ARCHITECTURE | overrides, 3).eval()


@torch.inference_mode()
def compute_logits(network: Network, *texts: list[int], length: int | None = None) -> Tensor:
    """Return the logits of texts that are padded to `length`, or to the longest text."""
    longest = length or max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[position < len(text) for position in range(longest)] for text in texts])
    logits: Tensor = network(ids, mask)
    return logits


def test_padding_does_not_change_logits() -> None:
    network, text = make_network(), [4, 9, 2, 11]
    unpadded = compute_logits(network, text)
    for length in (5, 9, 40):
        torch.testing.assert_close(compute_logits(network, text, length=length), unpadded, rtol=0, atol=1e-6)
    batched = compute_logits(network, [3] * 30, text, [8])
    torch.testing.assert_close(batched[1:2], unpadded, rtol=0, atol=1e-6)


def test_padding_is_not_pooled_even_if_highest() -> None:
    network = make_network(widths=[1])
    with torch.no_grad():
        network.convolutions[0].bias.fill_(5.0)  # the output of the convolution on padding
        network.convolutions[0].weight.abs_()
        network.embedding.weight[1:] = -1.0
    text = [4, 9]
    torch.testing.assert_close(compute_logits(network, text, length=9), compute_logits(network, text))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_texts_shorter_than_widths_get_finite_logits(length: int) -> None:
    logits = compute_logits(make_network(), list(range(1, length + 1)))
    assert logits.shape == (1, 3)
    assert torch.isfinite(logits).all()


def test_text_of_one_padding_token_gets_finite_logits() -> None:
    assert torch.isfinite(compute_logits(make_network(), [0])).all()


def test_logits_use_maximum_of_each_convolution() -> None:
    network, text = make_network(widths=[1, 3]), [4, 9, 2, 11, 5]
    with torch.inference_mode():
        embedded = network.embedding.weight[text]
        padded = torch.cat([torch.zeros(1, 6), embedded, torch.zeros(1, 6)])
        pooled = []
        for convolution, windows in (
            (network.convolutions[0], [embedded[i : i + 1] for i in range(5)]),
            (network.convolutions[1], [padded[i : i + 3] for i in range(5)]),
        ):
            responses = [(convolution.weight * window.T).sum(dim=(1, 2)) + convolution.bias for window in windows]
            pooled.append(functional.relu(torch.stack(responses)).amax(dim=0))
        expected = network.output(torch.cat(pooled))
    torch.testing.assert_close(compute_logits(network, text)[0], expected, rtol=0, atol=1e-5)


def test_word_order_matters_only_for_widths_above_1() -> None:
    for widths, same in (([1], True), ([2], False), ([3], False)):
        network = make_network(widths=widths)
        forward, backward = compute_logits(network, [4, 9, 2]), compute_logits(network, [2, 9, 4])
        assert torch.allclose(forward, backward, atol=1e-6) is same


def test_dropout_is_active_only_in_training() -> None:
    network = make_network(dropout=0.5)
    assert torch.equal(compute_logits(network, [4, 9, 2]), compute_logits(network, [4, 9, 2]))
    torch.testing.assert_close(compute_logits(network, [4, 9, 2]), compute_logits(make_network(), [4, 9, 2]))
    network.train()
    with torch.random.fork_rng(devices=[]):
        assert not torch.equal(compute_logits(network, [4, 9, 2]), compute_logits(network, [4, 9, 2]))


def test_padding_embedding_gets_no_gradient() -> None:
    network = make_network().train()
    logits = network(torch.tensor([[4, 9, 0, 0]]), torch.tensor([[True, True, False, False]]))
    logits.sum().backward()
    assert network.embedding.weight.grad is not None
    assert not network.embedding.weight.grad[0].any()
    assert network.embedding.weight.grad[4].any()


def test_built_network_has_architecture_shapes() -> None:
    network = build(ARCHITECTURE, 4)
    shapes = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    assert shapes["embedding.weight"] == (20, 6)
    assert [shapes[f"convolutions.{index}.weight"] for index in range(5)] == [(7, 6, width) for width in range(1, 6)]
    assert shapes["output.weight"] == (4, 7 * 5)


def make_embeddings() -> Tensor:
    return torch.randn(20, 6, generator=torch.Generator().manual_seed(1))


def make_tuned_network(*texts: list[int]) -> Network:
    network = make_network(padding=5)
    network.tune(make_embeddings(), [np.array(text) for text in texts])
    return network


def test_tuned_network_starts_with_given_embeddings_and_zero_padding() -> None:
    network = make_tuned_network([4, 9, 5], [2, 4])
    expected = make_embeddings()
    expected[5] = 0
    assert torch.equal(network.embedding(torch.arange(20)), expected)


def test_only_tokens_of_texts_are_tuned_independently() -> None:
    network = make_tuned_network([4, 9, 5], [2, 4])
    embedding = network.embedding
    assert isinstance(embedding, TunedEmbedding)
    assert embedding.added.weight.shape == (1 + 3, 6), "rows for 2, 4 and 9, and one zero row for all other tokens"
    ids = torch.tensor([[2, 4, 9, 7, 5]])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = embedding(ids).detach()
    (embedding(ids) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])[:, None]).sum().backward()
    optimizer.step()
    moved = (before - embedding(ids).detach())[0]
    torch.testing.assert_close(moved, torch.tensor([0.1, 0.2, 0.3, 0.0, 0.0])[:, None].expand(5, 6))


def test_merge_keeps_logits_of_tuned_network() -> None:
    network = make_tuned_network([4, 9, 5], [2, 4])
    assert isinstance(network.embedding, TunedEmbedding)
    torch.nn.init.normal_(network.embedding.added.weight[1:])
    before = compute_logits(network, [4, 9, 7, 2])
    network.merge()
    assert isinstance(network.embedding, torch.nn.Embedding)
    assert torch.equal(compute_logits(network, [4, 9, 7, 2]), before)
    loaded = build(ARCHITECTURE | {"padding": 5}, 3).eval()
    loaded.load_state_dict(network.state_dict())
    assert torch.equal(compute_logits(loaded, [4, 9, 7, 2]), before)
    network.merge()
    assert torch.equal(compute_logits(network, [4, 9, 7, 2]), before), "a second merge must change nothing"


def test_merge_keeps_untuned_embedding() -> None:
    network = make_network()
    embedding = network.embedding
    network.merge()
    assert network.embedding is embedding
