"""Time to fit the regression's classifiers, against OneVsRestClassifier(LogisticRegression("lbfgs")), same features.

    python benchmarks/regression_fit.py            # on data=madewithml, split seeds 0 to 4
    python benchmarks/regression_fit.py sample 2   # on another data set, so many split seeds

Prints seconds of both, their ratio (peer / ours), and the weighted F1 of both on val, each at its own best threshold.
No test record is read. On busy cores the peer's BLAS threads get into each other's way: look at the load too.
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
from ratchet.evaluation.thresholds import f1_by_threshold
from ratchet.models import all_settings
from ratchet.models.regression import Settings, fit_classifiers, make_features, make_vectorizers
from ratchet.process import available_cores, limited_threads


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
        train, val = prepared.part(split.train), prepared.part(split.val)
        vectorizers = [vectorizer.fit(train.texts) for vectorizer in make_vectorizers(settings)]
        features, val_features = (make_features(vectorizers, part.texts) for part in (train, val))
        with limited_threads(available_cores()):
            started = time.perf_counter()
            weights, bias = fit_classifiers(features, train.targets, settings.C)
            ours = time.perf_counter() - started
            started = time.perf_counter()
            peer = OneVsRestClassifier(LogisticRegression(C=settings.C, class_weight="balanced", max_iter=1000))
            peer.fit(features, train.targets)
            theirs = time.perf_counter() - started
        scores = (expit(val_features @ weights + bias), peer.predict_proba(val_features))
        f1 = [float(f1_by_threshold(val.targets, each, Average.weighted)[1].max()) for each in scores]
        rows.append((ours, theirs, theirs / ours, *f1))
        print("{:5}  {:6.2f}  {:6.2f}  {:11.1f}  {:7.4f}  {:7.4f}".format(seed, *rows[-1]))
    seconds, f1 = np.median(rows, axis=0)[:3], np.mean(rows, axis=0)[3:]
    print("       {:6.2f}  {:6.2f}  {:11.1f}  {:7.4f}  {:7.4f}  (medians, means of F1)".format(*seconds, *f1))


if __name__ == "__main__":
    main(*sys.argv[1:])
