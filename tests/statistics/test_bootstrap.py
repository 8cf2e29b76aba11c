"""Compare bootstrap metrics with repeated records, and the permutation test with all permutations."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from sklearn.metrics import f1_score
from tests.statistics.arrays import IDS, judged, overlapping, truth

from ratchet.evaluation import metrics
from ratchet.evaluation.metrics import Counts, compute_averages, compute_item_metrics, f1, generate_bootstrap_weights
from ratchet.statistics import permutation
from ratchet.statistics.bootstrap import RunDecisions, bootstrap_metrics
from ratchet.statistics.permutation import permutation_p_values

METRICS = ("f1_weighted", "f1_macro", "precision_micro", "recall_weighted", "f1_samples")
Keep = npt.NDArray[np.bool_]
Figures = dict[str, npt.NDArray[np.float64]]


def figures(run: RunDecisions, places: Sequence[int] | npt.NDArray[np.intp]) -> Figures:
    """Return every metric of the run on these of its records, which may be repeated."""
    found = compute_averages(run.targets[places], run.decisions[places])
    counts = Counts.of(run.targets[places], run.decisions[places])
    found["labels"] = np.where(counts.actual > 0, f1(counts), np.nan)
    for name, members in run.slices.items():
        own = [place for place in places if place in members]
        told = run.targets[own].any()
        found[f"slices/{name}"] = (
            compute_averages(run.targets[own], run.decisions[own])["f1_weighted"] if told else np.nan
        )
    return found


def swapped(left: RunDecisions, right: RunDecisions, keep: Keep) -> Figures:
    """Return the differences after swapping the decisions on the ids that are not in `keep`."""
    own = keep[left.rows][:, None]
    mixed = [np.where(own, left.decisions, right.decisions), np.where(own, right.decisions, left.decisions)]
    ours, theirs = (
        figures(RunDecisions("", left.rows, left.targets, decisions, left.slices), range(len(left.rows)))
        for decisions in mixed
    )
    return {name: ours[name] - theirs[name] for name in ours}


@cache
def of_all_swaps() -> Figures:
    """Return the exact p-values of the overlapping candidates, from all 2 ** IDS swaps."""
    left, right = overlapping()

    def total(keep: Keep) -> Figures:
        splits = []
        for split in ("a", "b"):
            pairs = itertools.product(*([run for run in runs if run.split == split] for runs in (left, right)))
            splits.append(_mean([swapped(ours, theirs, keep) for ours, theirs in pairs]))
        return _mean(splits)

    every = [total(np.array(keep)) for keep in itertools.product((True, False), repeat=IDS)]
    observed = every[0]
    assert not any(np.isnan(value).any() for value in observed.values())
    return {
        name: np.mean([np.abs(each[name]) >= np.abs(value) - 1e-9 for each in every], axis=0)
        for name, value in observed.items()
    }


def _mean(found: Sequence[Figures]) -> Figures:
    return {name: np.asarray(np.mean([each[name] for each in found], axis=0)) for name in found[0]}


def test_values_are_the_metrics_of_the_run() -> None:
    candidates = overlapping()
    for runs, drawn in zip(candidates, bootstrap_metrics(candidates, IDS, 3), strict=True):
        assert set(drawn) == {
            *compute_averages(runs[0].targets, runs[0].decisions),
            "labels",
            "slices/short",
            "slices/long",
        }
        for name, figure in drawn.items():
            assert figure.splits == tuple(run.split for run in runs)
            for row, run in enumerate(runs):
                expected = figures(run, range(len(run.rows)))[name]
                np.testing.assert_allclose(figure.values[row], expected, err_msg=name)


def test_bootstrap_metrics_equal_those_of_repeated_records() -> None:
    candidates = overlapping()
    drawn = bootstrap_metrics(candidates, IDS, 40, seed=3)
    (weights,) = generate_bootstrap_weights(IDS, 40, 3)
    for runs, found in zip(candidates, drawn, strict=True):
        for row, run in enumerate(runs):
            for number, weight in enumerate(weights):
                places = np.repeat(np.arange(len(run.rows)), weight[run.rows].astype(int))
                for name, expected in figures(run, places).items():
                    np.testing.assert_allclose(found[name].resampled[number, row], expected, err_msg=name)
                told = f1_score(run.targets[places], run.decisions[places], average="weighted", zero_division=0)
                assert found["f1_weighted"].resampled[number, row] == pytest.approx(told)


def test_candidates_and_repeats_share_each_bootstrap_sample() -> None:
    targets = truth(30)
    run = judged(targets)
    mirrored = judged(targets, split="b", rows=np.arange(30)[::-1])
    one, other = (
        each["f1_weighted"].resampled for each in bootstrap_metrics([[run, mirrored], [mirrored, run]], 30, 50)
    )
    assert np.ptp(one[:, 0]) > 0
    for same in (one[:, 1], other[:, 0], other[:, 1]):
        np.testing.assert_allclose(same, one[:, 0])


def test_disjoint_test_sets_are_resampled_independently() -> None:
    targets = np.concatenate([truth(60), truth(60)])
    wrong = np.tile((np.random.default_rng(1).random((60, 4)) < 0.2).astype(np.uint8), (2, 1))
    runs = [judged(targets, wrong, rows=range(60)), judged(targets, wrong, split="b", rows=range(60, 120))]
    (found,) = bootstrap_metrics([runs], 120, 400)
    assert found["f1_weighted"].values[0] == found["f1_weighted"].values[1]
    assert abs(np.corrcoef(found["f1_weighted"].resampled.T)[0, 1]) < 0.2


def test_a_slice_that_is_not_in_every_run_is_left_out() -> None:
    targets = truth(12)
    with_both = judged(targets, slices={"short": [0, 1], "rare": [2]})
    with_one = judged(targets, split="b", slices={"short": [3, 4]})
    both, one = bootstrap_metrics([[with_both, with_one], [with_both]], 12, 5)
    assert [name for name in both if name.startswith("slices/")] == ["slices/short"]
    assert [name for name in one if name.startswith("slices/")] == ["slices/short", "slices/rare"]
    p_values = permutation_p_values([with_both, with_one], [with_both, with_one], "f1_weighted", 12, 5)
    assert set(p_values) == {"f1_weighted", "labels", "slices/short"}


def test_a_label_without_support_is_nan() -> None:
    targets = truth(20)
    targets[:, 1], targets[:, 2] = 0, np.eye(20, dtype=np.uint8)[0]
    (found,) = bootstrap_metrics([[judged(targets)]], 20, 200)
    assert np.isnan(found["labels"].values).tolist() == [[False, True, False, False]]
    unknown = np.isnan(found["labels"].resampled[:, 0]).mean(axis=0)
    assert unknown[1] == 1
    assert unknown[2] == pytest.approx(np.exp(-1), abs=0.1)  # its only record is not drawn
    assert unknown[[0, 3]].tolist() == [0, 0]


def test_the_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = overlapping()
    whole = bootstrap_metrics(candidates, IDS, 50)
    monkeypatch.setattr(metrics, "_MAX_CELLS", 7 * IDS)
    for one, other in zip(whole, bootstrap_metrics(candidates, IDS, 50), strict=True):
        for name, figure in one.items():
            np.testing.assert_allclose(other[name].resampled, figure.resampled, err_msg=name)


def test_equal_seeds_give_equal_resamples() -> None:
    left, right = overlapping()
    one, other, another = (
        bootstrap_metrics([left], IDS, 20, seed=seed)[0]["f1_weighted"].resampled for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, another)
    p_values = [
        float(permutation_p_values(left, right, "f1_weighted", IDS, 199, seed=seed)["f1_weighted"]) for seed in (1, 1)
    ]
    others = {
        float(permutation_p_values(left, right, "f1_weighted", IDS, 199, seed=seed)["f1_weighted"]) for seed in range(5)
    }
    assert p_values[0] == p_values[1]
    assert len(others) > 1


def test_every_step_is_counted() -> None:
    left, right = overlapping()
    steps: list[int] = []
    bootstrap_metrics([left, right], IDS, 30, advance=steps.append)
    assert sum(steps) == 30 * (len(left) + len(right))
    steps.clear()
    permutation_p_values(left, right, "f1_weighted", IDS, 2_345, advance=steps.append)
    assert sum(steps) == 2_345


@pytest.mark.parametrize("metric", [f"{of}_{by}" for of in ("f1", "precision", "recall")
                                    for by in ("weighted", "macro", "micro", "samples")])  # fmt: skip
def test_a_swap_exchanges_decisions(metric: str) -> None:
    left, right = (runs[1] for runs in overlapping())
    keeps = np.random.default_rng(0).random((12, IDS)) < 0.5
    keeps[0], keeps[1] = True, False
    ours, theirs = (figures(run, range(6)) for run in (left, right))
    for name, found in permutation._differences(left, right, metric, keeps.astype(np.float64)).items():
        np.testing.assert_allclose(found[0], ours[name] - theirs[name], err_msg=name)
        np.testing.assert_allclose(found[1], theirs[name] - ours[name], err_msg=name)
        expected = [swapped(left, right, keep)[name] for keep in keeps]
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=name)


def test_p_values_are_the_share_of_swaps_with_a_difference_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = overlapping()
    every = np.array(list(itertools.product((1.0, 0.0), repeat=IDS)))

    def all_swaps(num_ids: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
        yield every

    monkeypatch.setattr(permutation, "_generate_swaps", all_swaps)
    for metric in METRICS:
        for name, found in permutation_p_values(left, right, metric, IDS, len(every)).items():
            exact = of_all_swaps()[name]
            np.testing.assert_allclose(found, (exact * len(every) + 1) / (len(every) + 1), err_msg=f"{metric}: {name}")


def test_random_swaps_approximate_the_exact_p_values() -> None:
    left, right = overlapping()
    found = permutation_p_values(left, right, "f1_weighted", IDS, 6_000)
    for name, p in found.items():
        exact = of_all_swaps()[name]
        error = np.sqrt(exact * (1 - exact) / 6_000)
        assert (np.abs(p - exact) <= 4 * error + 1 / 6_001).all(), name
    assert 0.02 < found["f1_weighted"] < 0.5


@pytest.mark.parametrize("metric", ["f1_samples", "precision_samples"])
def test_for_means_over_records_it_is_the_permutation_test_of_scipy(metric: str) -> None:
    targets = truth(11)
    left, right = judged(targets, 0.15, seed=3), judged(targets, 0.35, seed=4)
    by_item = [compute_item_metrics(run.targets, run.decisions)[metric.partition("_")[0]] for run in (left, right)]
    exact = stats.permutation_test(
        by_item,
        lambda ours, theirs, axis: (ours - theirs).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
    ).pvalue
    found = permutation_p_values([left], [right], metric, 11, 6_000)[metric]
    assert 0.01 < exact < 0.6
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 6_000))


def test_equal_decisions_have_a_p_value_of_1() -> None:
    runs = overlapping()[0]
    for name, p in permutation_p_values(runs, list(runs), "f1_weighted", IDS, 99).items():
        np.testing.assert_array_equal(p, 1.0, err_msg=name)


def test_a_p_value_is_at_least_one_over_the_resamples_plus_one() -> None:
    targets = truth(80)
    right = judged(targets, 0.6)
    for resamples in (9, 1_500):
        found = permutation_p_values([judged(targets, 0.0)], [right], "f1_weighted", 80, resamples)
        assert found["f1_weighted"] == 1 / (resamples + 1)


def test_it_does_not_matter_which_of_the_two_comes_first() -> None:
    left, right = overlapping()
    one = permutation_p_values(left, right, "f1_macro", IDS, 500)
    for name, p in permutation_p_values(right, left, "f1_macro", IDS, 500).items():
        np.testing.assert_array_equal(p, one[name], err_msg=name)


def test_a_swap_applies_to_all_repeats() -> None:
    """Repeating the same decisions adds no evidence, whatever the order of the records."""
    targets = truth(20)
    orders = [np.arange(20), np.arange(20)[::-1], np.random.default_rng(0).permutation(20)]
    left, right = ([judged(targets, wrong, seed=seed, split=str(number), rows=rows)
                    for number, rows in enumerate(orders)] for wrong, seed in ((0.15, 3), (0.3, 4)))  # fmt: skip
    once = permutation_p_values(left[:1], right[:1], "f1_weighted", 20, 999)["f1_weighted"]
    assert 0.01 < once < 0.5
    assert permutation_p_values(left, right, "f1_weighted", 20, 999)["f1_weighted"] == once
    seeds = [[each[0]] * 3 for each in (left, right)]
    assert permutation_p_values(*seeds, "f1_weighted", 20, 999)["f1_weighted"] == once


def test_a_split_counts_once_however_many_seeds_it_has() -> None:
    left, right = overlapping()
    found = permutation_p_values(left, right, "f1_weighted", IDS, 300)["f1_weighted"]
    assert permutation_p_values(left, [right[0]] * 2 + [right[1]] * 3, "f1_weighted", IDS, 300)["f1_weighted"] == found


def test_a_slice_without_a_true_label_is_nan() -> None:
    targets = truth(20)
    targets[:3] = 0
    (found,) = bootstrap_metrics([[judged(targets, slices={"s": [0, 1, 2]})]], 20, 20)
    assert np.isnan(found["slices/s"].values).all()
    targets[0, 0] = 1
    (found,) = bootstrap_metrics([[judged(targets, 0.0, slices={"s": [0, 1, 2]})]], 20, 200)
    draws = found["slices/s"].resampled
    assert np.isnan(draws).any()
    assert (draws[~np.isnan(draws)] == 1).all()


def test_a_label_without_support_is_no_finding() -> None:
    targets = truth(20)
    targets[:, 1] = 0
    run = judged(targets)
    assert permutation_p_values([run], [run], "f1_weighted", 20, 99)["labels"][1] == 1
