"""Time fit and prediction of the regression, against OneVsRestClassifier(LogisticRegression("lbfgs")), same features.

    python benchmarks/regression_fit.py            # on data=madewithml, split seeds 0 to 4
    python benchmarks/regression_fit.py sample 2   # another data set, number of split seeds

Prints the seconds of fit on train and prediction of val for both sides, their ratio (peer / ours), and the weighted F1
of both on val, each at its best threshold. The peer is class-balanced with C=20, the best of 1, 5, 20 and 50 in five
folds of train and val of split 0. No test record is read. On busy cores the BLAS threads of the peer slow each other
down: check the load too.
"""

import sys
import time

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from ratchet.config import Average, compose, register
from ratchet.data.prepared import prepare
from ratchet.data.splits import make_split
from ratchet.evaluation.thresholds import compute_f1_by_threshold
from ratchet.lexical.classifier import fit_odds, fit_ridge
from ratchet.lexical.features import Features
from ratchet.machine import available_cores, limited_threads
from ratchet.models import all_settings
from ratchet.models.regression import Settings


def fit_ours(features, targets, val_features, settings: Settings):
    """Fit the lexical classifier and return its scores of val."""
    weights, bias, left_out = fit_ridge(features, targets, settings.C)
    slope, offset = fit_odds(left_out, targets)
    return expit(val_features @ (weights * slope).astype(np.float32) + (bias * slope + offset))


def fit_peer(features, targets, val_features):
    """Fit one logistic regression per label and return its scores of val."""
    classifier = OneVsRestClassifier(LogisticRegression(C=20, class_weight="balanced", max_iter=1000))
    return classifier.fit(features, targets).predict_proba(val_features)


def main(data: str = "madewithml", seeds: str = "5") -> None:
    register(all_settings())
    config = compose([f"data={data}", "model=regression"])
    settings = config.model
    assert isinstance(settings, Settings)
    prepared = prepare(config.data)
    print(f"{data}, {available_cores()} threads\nsplit  ours s  peer s  peer / ours  F1 ours  F1 peer")
    rows = []
    for seed in range(int(seeds)):
        config.split.seed = seed
        split = make_split(prepared, config.split, config.data.split.column)
        train, val = prepared.select(split.train), prepared.select(split.val)
        extractor = Features.fit(train.texts, train.labels, train.taxonomy, settings)
        features, val_features = extractor.transform(train.texts), extractor.transform(val.texts)
        seconds, f1 = [], []
        with limited_threads(available_cores()):
            fit_ours(features, train.targets, val_features, settings)  # warm up imports and threads
            for side in (
                lambda: fit_ours(features, train.targets, val_features, settings),  # noqa: B023
                lambda: fit_peer(features, train.targets, val_features),  # noqa: B023
            ):
                started = time.perf_counter()
                scores = side()
                seconds.append(time.perf_counter() - started)
                f1.append(float(compute_f1_by_threshold(val.targets, scores, Average.weighted)[1].max()))
        rows.append((*seconds, seconds[1] / seconds[0], *f1))
        print("{:5}  {:6.2f}  {:6.2f}  {:11.1f}  {:7.4f}  {:7.4f}".format(seed, *rows[-1]))
    seconds, f1 = np.median(rows, axis=0)[:3], np.mean(rows, axis=0)[3:]
    print("       {:6.2f}  {:6.2f}  {:11.1f}  {:7.4f}  {:7.4f}  (medians, means of F1)".format(*seconds, *f1))


if __name__ == "__main__":
    main(*sys.argv[1:])
