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


def network_of(**changed: Any) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(ARCHITECTURE | changed, 3).eval()


@torch.inference_mode()
def logits_of(network: Network, *texts: list[int], length: int | None = None) -> Tensor:
    """Logits of texts that are filled up with padding to `length`, or to the longest one."""
    longest = length or max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[position < len(text) for position in range(longest)] for text in texts])
    logits: Tensor = network(ids, mask)
    return logits


def test_padding_changes_nothing() -> None:
    network, text = network_of(), [4, 9, 2, 11]
    alone = logits_of(network, text)
    for length in (5, 9, 40):
        torch.testing.assert_close(logits_of(network, text, length=length), alone, rtol=0, atol=1e-6)
    neighbours = logits_of(network, [3] * 30, text, [8])
    torch.testing.assert_close(neighbours[1:2], alone, rtol=0, atol=1e-6)


def test_padding_that_scores_higher_than_any_word_is_not_pooled() -> None:
    network = network_of(widths=[1])
    with torch.no_grad():
        network.convolutions[0].bias.fill_(5.0)  # what a convolution makes of padding
        network.convolutions[0].weight.abs_()
        network.embedding.weight[1:] = -1.0
    text = [4, 9]
    torch.testing.assert_close(logits_of(network, text, length=9), logits_of(network, text))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_texts_shorter_than_a_width_are_scored(length: int) -> None:
    logits = logits_of(network_of(), list(range(1, length + 1)))
    assert logits.shape == (1, 3)
    assert torch.isfinite(logits).all()


def test_a_text_without_a_word_is_scored() -> None:
    assert torch.isfinite(logits_of(network_of(), [0])).all()


def test_it_is_the_maximum_over_the_text_of_what_each_convolution_finds() -> None:
    network, text = network_of(widths=[1, 3]), [4, 9, 2, 11, 5]
    with torch.inference_mode():
        embedded = network.embedding.weight[text]
        surrounded = torch.cat([torch.zeros(1, 6), embedded, torch.zeros(1, 6)])
        found = []
        for convolution, windows in (
            (network.convolutions[0], [embedded[i : i + 1] for i in range(5)]),
            (network.convolutions[1], [surrounded[i : i + 3] for i in range(5)]),
        ):
            each = [(convolution.weight * window.T).sum(dim=(1, 2)) + convolution.bias for window in windows]
            found.append(functional.relu(torch.stack(each)).amax(dim=0))
        expected = network.output(torch.cat(found))
    torch.testing.assert_close(logits_of(network, text)[0], expected, rtol=0, atol=1e-5)


def test_the_order_of_words_matters_only_to_widths_above_1() -> None:
    for widths, same in (([1], True), ([2], False), ([3], False)):
        network = network_of(widths=widths)
        one, two = logits_of(network, [4, 9, 2]), logits_of(network, [2, 9, 4])
        assert torch.allclose(one, two, atol=1e-6) is same


def test_dropout_is_for_training() -> None:
    network = network_of(dropout=0.5)
    assert torch.equal(logits_of(network, [4, 9, 2]), logits_of(network, [4, 9, 2]))
    torch.testing.assert_close(logits_of(network, [4, 9, 2]), logits_of(network_of(), [4, 9, 2]))
    network.train()
    with torch.random.fork_rng(devices=[]):
        assert not torch.equal(logits_of(network, [4, 9, 2]), logits_of(network, [4, 9, 2]))


def test_padding_is_not_learnt() -> None:
    network = network_of().train()
    logits = network(torch.tensor([[4, 9, 0, 0]]), torch.tensor([[True, True, False, False]]))
    logits.sum().backward()
    assert network.embedding.weight.grad is not None
    assert not network.embedding.weight.grad[0].any()
    assert network.embedding.weight.grad[4].any()


def test_an_architecture_is_built_with_its_sizes() -> None:
    network = build(ARCHITECTURE, 4)
    shapes = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    assert shapes["embedding.weight"] == (20, 6)
    assert [shapes[f"convolutions.{index}.weight"] for index in range(5)] == [(7, 6, width) for width in range(1, 6)]
    assert shapes["output.weight"] == (4, 7 * 5)


def embeddings_of_an_encoder() -> Tensor:
    return torch.randn(20, 6, generator=torch.Generator().manual_seed(1))


def tuned_network(*texts: list[int]) -> Network:
    network = network_of(padding=5)
    network.tune(embeddings_of_an_encoder(), [np.array(text) for text in texts])
    return network


def test_a_tuned_network_begins_with_the_embeddings_that_it_is_given_but_for_padding() -> None:
    network = tuned_network([4, 9, 5], [2, 4])
    expected = embeddings_of_an_encoder()
    expected[5] = 0
    assert torch.equal(network.embedding(torch.arange(20)), expected)


def test_only_tokens_of_the_texts_learn_each_for_itself() -> None:
    network = tuned_network([4, 9, 5], [2, 4])
    embedding = network.embedding
    assert isinstance(embedding, TunedEmbedding)
    assert embedding.added.weight.shape == (1 + 3, 6), "2, 4 and 9, and one row that is nobody's"
    ids = torch.tensor([[2, 4, 9, 7, 5]])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = embedding(ids).detach()
    (embedding(ids) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])[:, None]).sum().backward()
    optimizer.step()
    moved = (before - embedding(ids).detach())[0]
    torch.testing.assert_close(moved, torch.tensor([0.1, 0.2, 0.3, 0.0, 0.0])[:, None].expand(5, 6))


def test_what_was_tuned_is_merged_into_one_table_that_scores_the_same() -> None:
    network = tuned_network([4, 9, 5], [2, 4])
    assert isinstance(network.embedding, TunedEmbedding)
    torch.nn.init.normal_(network.embedding.added.weight[1:])
    before = logits_of(network, [4, 9, 7, 2])
    network.merge()
    assert isinstance(network.embedding, torch.nn.Embedding)
    assert torch.equal(logits_of(network, [4, 9, 7, 2]), before)
    loaded = build(ARCHITECTURE | {"padding": 5}, 3).eval()
    loaded.load_state_dict(network.state_dict())
    assert torch.equal(logits_of(loaded, [4, 9, 7, 2]), before)
    network.merge()
    assert torch.equal(logits_of(network, [4, 9, 7, 2]), before), "there was nothing left to merge"


def test_nothing_is_merged_where_nothing_was_tuned() -> None:
    network = network_of()
    embedding = network.embedding
    network.merge()
    assert network.embedding is embedding
