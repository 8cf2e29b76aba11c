"""Tests for bootstrap metrics, against repeated records, and the permutation test, against all permutations."""

import itertools
import tracemalloc
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
from ratchet.statistics import bootstrap, permutation
from ratchet.statistics.bootstrap import RunDecisions, bootstrap_metrics, limit_resamples
from ratchet.statistics.permutation import RunPair, permutation_p_values, permute_pairs

METRICS = ("f1_weighted", "f1_macro", "precision_micro", "recall_weighted", "f1_samples")
Keep = npt.NDArray[np.bool_]
MetricArrays = dict[str, npt.NDArray[np.float64]]


def compute_metrics(run: RunDecisions, positions: Sequence[int] | npt.NDArray[np.intp]) -> MetricArrays:
    """Return every metric of the run on these of its records, which may be repeated."""
    result = compute_averages(run.targets[positions], run.decisions[positions])
    counts = Counts.of(run.targets[positions], run.decisions[positions])
    result["labels"] = np.where(counts.actual > 0, f1(counts), np.nan)
    for name, members in run.slices.items():
        selected = [position for position in positions if position in members]
        has_support = run.targets[selected].any()
        result[f"slices/{name}"] = (
            compute_averages(run.targets[selected], run.decisions[selected])["f1_weighted"] if has_support else np.nan
        )
    return result


def compute_swapped_differences(left: RunDecisions, right: RunDecisions, keep: Keep) -> MetricArrays:
    """Return the differences after swapping the decisions on the ids that are not in `keep`."""
    kept = keep[left.rows][:, None]
    mixed = [np.where(kept, left.decisions, right.decisions), np.where(kept, right.decisions, left.decisions)]
    ours, theirs = (
        compute_metrics(RunDecisions.of("", left.rows, left.targets, decisions, left.slices), range(len(left.rows)))
        for decisions in mixed
    )
    return {name: ours[name] - theirs[name] for name in ours}


@cache
def compute_exact_p_values() -> MetricArrays:
    """Return the exact p-values of the overlapping candidates, from all 2 ** IDS swaps."""
    left, right = overlapping()

    def compute_differences(keep: Keep) -> MetricArrays:
        splits = []
        for split in ("a", "b"):
            pairs = itertools.product(*([run for run in runs if run.split == split] for runs in (left, right)))
            splits.append(_average([compute_swapped_differences(ours, theirs, keep) for ours, theirs in pairs]))
        return _average(splits)

    differences = [compute_differences(np.array(keep)) for keep in itertools.product((True, False), repeat=IDS)]
    observed = differences[0]
    assert not any(np.isnan(value).any() for value in observed.values())
    return {
        name: np.mean([np.abs(difference[name]) >= np.abs(value) - 1e-9 for difference in differences], axis=0)
        for name, value in observed.items()
    }


def _average(samples: Sequence[MetricArrays]) -> MetricArrays:
    return {name: np.asarray(np.mean([sample[name] for sample in samples], axis=0)) for name in samples[0]}


def test_values_are_metrics_of_each_run() -> None:
    candidates = overlapping()
    for runs, result in zip(candidates, bootstrap_metrics(candidates, IDS, 3), strict=True):
        assert set(result) == {
            *compute_averages(runs[0].targets, runs[0].decisions),
            "labels",
            "slices/short",
            "slices/long",
        }
        for name, metric in result.items():
            assert metric.splits == tuple(run.split for run in runs)
            for row, run in enumerate(runs):
                expected = compute_metrics(run, range(len(run.rows)))[name]
                np.testing.assert_allclose(metric.values[row], expected, err_msg=name)


def test_bootstrap_metrics_match_repeated_records() -> None:
    candidates = overlapping()
    results = bootstrap_metrics(candidates, IDS, 40, seed=3)
    (weights,) = generate_bootstrap_weights(IDS, 40, 3)
    for runs, result in zip(candidates, results, strict=True):
        for row, run in enumerate(runs):
            for number, weight in enumerate(weights):
                positions = np.repeat(np.arange(len(run.rows)), weight[run.rows].astype(int))
                for name, expected in compute_metrics(run, positions).items():
                    np.testing.assert_allclose(result[name].resampled[number, row], expected, err_msg=name)
                reference = f1_score(
                    run.targets[positions], run.decisions[positions], average="weighted", zero_division=0
                )
                assert result["f1_weighted"].resampled[number, row] == pytest.approx(reference)


def test_candidates_and_repeats_share_bootstrap_samples() -> None:
    targets = truth(30)
    run = judged(targets)
    mirrored = judged(targets, split="b", rows=np.arange(30)[::-1])
    first, second = (
        candidate["f1_weighted"].resampled
        for candidate in bootstrap_metrics([[run, mirrored], [mirrored, run]], 30, 50)
    )
    assert np.ptp(first[:, 0]) > 0
    for same in (first[:, 1], second[:, 0], second[:, 1]):
        np.testing.assert_allclose(same, first[:, 0])


def test_disjoint_test_sets_are_resampled_independently() -> None:
    targets = np.concatenate([truth(60), truth(60)])
    wrong = np.tile((np.random.default_rng(1).random((60, 4)) < 0.2).astype(np.uint8), (2, 1))
    runs = [judged(targets, wrong, rows=range(60)), judged(targets, wrong, split="b", rows=range(60, 120))]
    (result,) = bootstrap_metrics([runs], 120, 400)
    assert result["f1_weighted"].values[0] == result["f1_weighted"].values[1]
    assert abs(np.corrcoef(result["f1_weighted"].resampled.T)[0, 1]) < 0.2


def test_slice_missing_from_a_run_is_left_out() -> None:
    targets = truth(12)
    with_both = judged(targets, slices={"short": [0, 1], "rare": [2]})
    with_one = judged(targets, split="b", slices={"short": [3, 4]})
    both, one = bootstrap_metrics([[with_both, with_one], [with_both]], 12, 5)
    assert [name for name in both if name.startswith("slices/")] == ["slices/short"]
    assert [name for name in one if name.startswith("slices/")] == ["slices/short", "slices/rare"]
    p_values = permutation_p_values([with_both, with_one], [with_both, with_one], "f1_weighted", 12, 5)
    assert set(p_values) == {"f1_weighted", "labels", "slices/short"}


def test_label_without_support_is_nan() -> None:
    targets = truth(20)
    targets[:, 1], targets[:, 2] = 0, np.eye(20, dtype=np.uint8)[0]
    (result,) = bootstrap_metrics([[judged(targets)]], 20, 200)
    assert np.isnan(result["labels"].values).tolist() == [[False, True, False, False]]
    unknown = np.isnan(result["labels"].resampled[:, 0]).mean(axis=0)
    assert unknown[1] == 1
    assert unknown[2] == pytest.approx(np.exp(-1), abs=0.1)  # the share of samples without its only record
    assert unknown[[0, 3]].tolist() == [0, 0]


def test_block_size_does_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = overlapping()
    expected = bootstrap_metrics(candidates, IDS, 50)
    monkeypatch.setattr(metrics, "MAX_CELLS", 7 * IDS)
    for reference, result in zip(expected, bootstrap_metrics(candidates, IDS, 50), strict=True):
        for name, metric in reference.items():
            np.testing.assert_allclose(result[name].resampled, metric.resampled, err_msg=name)


def test_equal_seeds_give_equal_resamples() -> None:
    left, right = overlapping()
    first, second, third = (
        bootstrap_metrics([left], IDS, 20, seed=seed)[0]["f1_weighted"].resampled for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)
    p_values = [
        float(permutation_p_values(left, right, "f1_weighted", IDS, 199, seed=seed)["f1_weighted"]) for seed in (1, 1)
    ]
    p_values_by_seed = {
        float(permutation_p_values(left, right, "f1_weighted", IDS, 199, seed=seed)["f1_weighted"]) for seed in range(5)
    }
    assert p_values[0] == p_values[1]
    assert len(p_values_by_seed) > 1


def test_advance_counts_every_resample() -> None:
    left, right = overlapping()
    steps: list[int] = []
    bootstrap_metrics([left, right], IDS, 30, advance=steps.append)
    assert sum(steps) == 30 * (len(left) + len(right))
    steps.clear()
    permutation_p_values(left, right, "f1_weighted", IDS, 2_345, advance=steps.append)
    assert sum(steps) == 2_345


@pytest.mark.parametrize("metric", [f"{of}_{by}" for of in ("f1", "precision", "recall")
                                    for by in ("weighted", "macro", "micro", "samples")])  # fmt: skip
def test_swap_exchanges_decisions(metric: str) -> None:
    left, right = (runs[1] for runs in overlapping())
    keeps = np.random.default_rng(0).random((12, IDS)) < 0.5
    keeps[0], keeps[1] = True, False
    ours, theirs = (compute_metrics(run, range(6)) for run in (left, right))
    labels = np.arange(left.targets.shape[1])
    paired = permutation._PairedRuns.of(left, right, labels, True)
    for name, differences in paired.subtract(keeps.T.astype(np.float64), metric).items():
        np.testing.assert_allclose(differences[0], ours[name] - theirs[name], err_msg=name)
        np.testing.assert_allclose(differences[1], theirs[name] - ours[name], err_msg=name)
        expected = [compute_swapped_differences(left, right, keep)[name] for keep in keeps]
        np.testing.assert_allclose(differences, expected, atol=1e-12, err_msg=name)


def test_p_value_is_share_of_swaps_as_extreme(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = overlapping()
    swaps = np.array(list(itertools.product((1.0, 0.0), repeat=IDS)))

    def all_swaps(num_ids: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
        yield swaps.T

    monkeypatch.setattr(permutation, "_generate_swaps", all_swaps)
    for metric in METRICS:
        for name, p_value in permutation_p_values(left, right, metric, IDS, len(swaps)).items():
            exact = compute_exact_p_values()[name]
            np.testing.assert_allclose(
                p_value, (exact * len(swaps) + 1) / (len(swaps) + 1), err_msg=f"{metric}: {name}"
            )


def test_random_swaps_approximate_exact_p_values() -> None:
    left, right = overlapping()
    p_values = permutation_p_values(left, right, "f1_weighted", IDS, 6_000)
    for name, p in p_values.items():
        exact = compute_exact_p_values()[name]
        error = np.sqrt(exact * (1 - exact) / 6_000)
        assert (np.abs(p - exact) <= 4 * error + 1 / 6_001).all(), name
    assert 0.02 < p_values["f1_weighted"] < 0.5


@pytest.mark.parametrize("metric", ["f1_samples", "precision_samples"])
def test_p_value_of_record_means_matches_scipy(metric: str) -> None:
    targets = truth(11)
    left, right = judged(targets, 0.15, seed=3), judged(targets, 0.35, seed=4)
    by_item = [compute_item_metrics(run.targets, run.decisions)[metric.partition("_")[0]] for run in (left, right)]
    exact = stats.permutation_test(
        by_item,
        lambda ours, theirs, axis: (ours - theirs).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
    ).pvalue
    p_value = permutation_p_values([left], [right], metric, 11, 6_000)[metric]
    assert 0.01 < exact < 0.6
    assert p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 6_000))


def test_equal_decisions_have_p_value_1() -> None:
    runs = overlapping()[0]
    for name, p in permutation_p_values(runs, list(runs), "f1_weighted", IDS, 99).items():
        np.testing.assert_array_equal(p, 1.0, err_msg=name)


def test_smallest_p_value_is_one_over_resamples_plus_one() -> None:
    targets = truth(80)
    right = judged(targets, 0.6)
    for resamples in (9, 1_500):
        p_values = permutation_p_values([judged(targets, 0.0)], [right], "f1_weighted", 80, resamples)
        assert p_values["f1_weighted"] == 1 / (resamples + 1)


def test_p_values_do_not_depend_on_order_of_candidates() -> None:
    left, right = overlapping()
    expected = permutation_p_values(left, right, "f1_macro", IDS, 500)
    for name, p in permutation_p_values(right, left, "f1_macro", IDS, 500).items():
        np.testing.assert_array_equal(p, expected[name], err_msg=name)


def test_swap_applies_to_all_repeats() -> None:
    """Repeating the same decisions adds no evidence, regardless of the order of the records."""
    targets = truth(20)
    orders = [np.arange(20), np.arange(20)[::-1], np.random.default_rng(0).permutation(20)]
    left, right = ([judged(targets, wrong, seed=seed, split=str(number), rows=rows)
                    for number, rows in enumerate(orders)] for wrong, seed in ((0.15, 3), (0.3, 4)))  # fmt: skip
    single_p_value = permutation_p_values(left[:1], right[:1], "f1_weighted", 20, 999)["f1_weighted"]
    assert 0.01 < single_p_value < 0.5
    assert permutation_p_values(left, right, "f1_weighted", 20, 999)["f1_weighted"] == single_p_value
    seeds = [[runs[0]] * 3 for runs in (left, right)]
    assert permutation_p_values(*seeds, "f1_weighted", 20, 999)["f1_weighted"] == single_p_value


def test_split_counts_once_regardless_of_number_of_seeds() -> None:
    left, right = overlapping()
    p_value = permutation_p_values(left, right, "f1_weighted", IDS, 300)["f1_weighted"]
    assert (
        permutation_p_values(left, [right[0]] * 2 + [right[1]] * 3, "f1_weighted", IDS, 300)["f1_weighted"] == p_value
    )


def test_slice_without_true_labels_is_nan() -> None:
    targets = truth(20)
    targets[:3] = 0
    (result,) = bootstrap_metrics([[judged(targets, slices={"s": [0, 1, 2]})]], 20, 20)
    assert np.isnan(result["slices/s"].values).all()
    targets[0, 0] = 1
    (result,) = bootstrap_metrics([[judged(targets, 0.0, slices={"s": [0, 1, 2]})]], 20, 200)
    resampled = result["slices/s"].resampled
    assert np.isnan(resampled).any()
    assert (resampled[~np.isnan(resampled)] == 1).all()


def test_label_without_support_has_p_value_1() -> None:
    targets = truth(20)
    targets[:, 1] = 0
    run = judged(targets)
    assert permutation_p_values([run], [run], "f1_weighted", 20, 99)["labels"][1] == 1


# --- many records, labels and candidates ------------------------------------------------------------------------------


def test_labels_measured_in_blocks_are_those_measured_at_once() -> None:
    (result, _) = bootstrap_metrics(overlapping(), IDS, 40)
    labels = result["labels"]
    for columns in ([0, 2], [1, 2]):
        measured = result.measure_labels(columns)
        np.testing.assert_array_equal(measured.values, labels.values[:, columns])
        np.testing.assert_array_equal(measured.resampled, labels.resampled[:, :, columns])


def test_unknown_metric_is_no_key() -> None:
    (result, _) = bootstrap_metrics(overlapping(), IDS, 5)
    assert "slices/short" in result
    assert "slices/none" not in result
    assert len(result) == len(list(result))
    with pytest.raises(KeyError):
        result["slices/none"]


def test_resamples_are_limited_by_the_records() -> None:
    assert limit_resamples(20_000, 10_000) == 10_000
    assert limit_resamples(100_000, 10_000) == 2_000
    assert limit_resamples(10**7, 10_000) == bootstrap.ENOUGH_RESAMPLES
    assert limit_resamples(10**7, 300) == 300


def test_limited_samples_are_the_first_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = bootstrap_metrics(overlapping(), IDS, 60)[0]["f1_weighted"].resampled
    monkeypatch.setattr(bootstrap, "MAX_WEIGHTS", 20 * IDS)
    monkeypatch.setattr(bootstrap, "ENOUGH_RESAMPLES", 10)
    steps: list[int] = []
    result = bootstrap_metrics(overlapping(), IDS, 60, advance=steps.append)[0]["f1_weighted"].resampled
    np.testing.assert_array_equal(result, expected[:20])
    assert sum(steps) == 60 * 5, "the progress bar ends"


def test_pairs_tested_together_have_the_p_values_of_each_alone() -> None:
    left, right = overlapping()
    pairs = [RunPair(left, right), RunPair(right, left, with_groups=False), RunPair(left, left)]
    for pair, p_values in zip(pairs, permute_pairs(pairs, "f1_macro", IDS, 300), strict=True):
        alone = permutation_p_values(pair.left, pair.right, "f1_macro", IDS, 300)
        assert p_values.keys() == (alone.keys() if pair.with_groups else {"f1_macro"})
        for name, value in p_values.items():
            np.testing.assert_array_equal(value, alone[name])


@pytest.mark.parametrize("metric", [f"{of}_{by}" for of in ("f1", "recall") for by in ("weighted", "macro", "micro")])
def test_labels_without_a_difference_count_in_averages(metric: str) -> None:
    targets, same = truth(60, 6), np.zeros((60, 6), dtype=np.uint8)
    same[::7, :4] = 1
    wrong = same.copy()
    wrong[::5, 4] ^= 1
    left, right = judged(targets, same), judged(targets, wrong)
    keeps = (np.random.default_rng(0).random((9, 60)) < 0.5).astype(np.float64)
    paired = permutation._PairedRuns.of(left, right, np.array([4]), True)
    expected = [compute_swapped_differences(left, right, keep > 0)[metric] for keep in keeps]
    np.testing.assert_allclose(paired.subtract(keeps.T, metric)[metric], expected, atol=1e-12)


def test_memory_does_not_grow_with_records_times_resamples_or_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_CELLS", 200_000)
    monkeypatch.setattr(permutation, "MAX_CELLS", 200_000)
    targets = (np.random.default_rng(0).random((4_000, 300)) < 0.01).astype(np.uint8)
    runs = [judged(targets, 0.002, seed=seed) for seed in (1, 2)]
    tracemalloc.start()
    bootstrap_metrics([[runs[0]], [runs[1]]], 4_000, 1_000)
    permutation_p_values([runs[0]], [runs[1]], "f1_weighted", 4_000, 500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 4 MB of samples, one byte each. As float64 they have 32 MB; the labels' F1 in all samples has 2.4 MB for each run.
    assert peak < 20e6
