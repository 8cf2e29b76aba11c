"""Fit ridge regression on lexical features; score texts and name the features behind a label."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ratchet.data.dataset import Dataset, Task
from ratchet.data.known import Known, group_labels, prepare_fit
from ratchet.errors import UserError
from ratchet.lexical.features import Features, LexicalSettings

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Doubles = npt.NDArray[np.float64]
_EXACT = 5000  # texts; up to here the matrix of their products is kept in memory: 200 MB
_FOLDS = 5
_BLOCK = 500  # texts whose products with all others are computed together
_SLOPE, _LEAST_SLOPE, _PRIOR_PRECISION = 6.0, 1.0, 0.1
Floats = npt.NDArray[np.float32]
_WORTH_EXPLAINING, _MOST = 0.1, 5  # the lowest score of a label that is explained; words per label


class RidgeFit(NamedTuple):
    """A fitted ridge regression: weights, of shape (num_features, num_labels), biases, and two scores of each text.

    Both scores, of shape (num_texts, num_labels), are those of a fit to the other texts. `left_out` is the score of the
    text's own features, `unseen` that of the features that a text from elsewhere would have.
    """

    weights: Doubles
    bias: Doubles
    left_out: Doubles
    unseen: Doubles


def fit_ridge(
    features: "csr_matrix",
    targets: npt.NDArray[np.uint8],
    C: float,
    known: Known | None = None,
    unseen: "csr_matrix | None" = None,
) -> RidgeFit:
    """Fit ridge regression to the texts of `features`, whose features as unseen texts are `unseen` (None: the same).

    Labels whose targets are `known` for the same texts are fitted together, on these texts; the score of another text
    is that of a fit without it in any case.
    """
    unseen = features if unseen is None else unseen
    if known is None:
        return _fit_known(features, targets, C, unseen)
    num_labels = targets.shape[1]
    weights, bias = np.zeros((features.shape[1], num_labels)), np.zeros(num_labels)
    left_out, of_unseen = np.zeros(targets.shape), np.zeros(targets.shape)
    for rows, columns in group_labels(known):
        fit = _fit_known(features[rows], targets[np.ix_(rows, columns)], C, unseen[rows])
        weights[:, columns], bias[columns] = fit.weights, fit.bias
        left_out[:, columns] = features @ fit.weights + fit.bias
        left_out[np.ix_(rows, columns)] = fit.left_out
        of_unseen[:, columns] = unseen @ fit.weights + fit.bias
        of_unseen[np.ix_(rows, columns)] = fit.unseen
    return RidgeFit(weights, bias, left_out, of_unseen)


def _fit_known(features: "csr_matrix", targets: npt.NDArray[np.uint8], C: float, unseen: "csr_matrix") -> RidgeFit:
    """Fit labels whose targets are all known; return what `fit_ridge` returns.

    Least squares on targets of 0 and 1, regularised by 1 / C, with the bias as a further weight. With fewer texts than
    n-grams the dual is the smaller problem (Saunders et al. 1998): one Cholesky factor of the texts' products serves
    all labels, and yields leave-one-out scores in closed form (PRESS, Allen 1974). For more than `_EXACT` texts,
    scikit-learn's conjugate gradients are used, and left-out scores come from five folds.
    """
    if features.shape[0] > _EXACT:
        return _fit_iteratively(features, targets, C, unseen)
    from scipy.linalg import cho_factor, cho_solve
    from scipy.linalg.lapack import dpotri
    from sklearn.utils.extmath import safe_sparse_dot

    products = safe_sparse_dot(features, features.T, dense_output=True).astype(np.float64) + 1.0
    products[np.diag_indices(len(products))] += 1 / C
    factor, lower = cho_factor(products, lower=True, overwrite_a=True)
    dual = cho_solve((factor, lower), targets.astype(np.float64))
    inverse, _ = dpotri(factor, lower=True, overwrite_c=True)
    left_out = targets - dual / inverse.diagonal()[:, None]
    weights, bias = features.T @ dual, dual.sum(axis=0)
    if unseen is features:
        return RidgeFit(weights, bias, left_out, left_out)
    # Without text i the dual is dual - inverse[i] * dual[i] / inverse[i, i], which is 0 at i.
    removed = _sum_products(unseen, features, inverse) / inverse.diagonal()
    return RidgeFit(weights, bias, left_out, unseen @ weights + bias - removed[:, None] * dual)


def _sum_products(left: "csr_matrix", right: "csr_matrix", lower: Doubles) -> Doubles:
    """Return the diagonal of (left @ right.T + 1) @ symmetric; only the `lower` triangle of the latter is read."""
    from sklearn.utils.extmath import safe_sparse_dot

    diagonal = np.empty(len(lower))
    for start in range(0, len(lower), _BLOCK):
        rows = slice(start, start + _BLOCK)
        symmetric = np.tril(lower[rows], start) + np.triu(lower[:, rows].T, start + 1)
        products = safe_sparse_dot(left[rows], right.T, dense_output=True).astype(np.float64) + 1.0
        diagonal[rows] = np.einsum("ij,ij->i", products, symmetric)
    return diagonal


def _fit_iteratively(
    features: "csr_matrix", targets: npt.NDArray[np.uint8], C: float, unseen: "csr_matrix"
) -> RidgeFit:
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold

    with_bias = hstack([features, csr_matrix(np.ones((features.shape[0], 1), features.dtype))], format="csr")
    ridge: Any = Ridge(alpha=1 / C, fit_intercept=False, solver="sparse_cg", tol=1e-5)
    left_out, of_unseen = np.zeros(targets.shape), np.zeros(targets.shape)
    for rest, fold in KFold(_FOLDS, shuffle=True, random_state=0).split(targets):
        ridge.fit(with_bias[rest], targets[rest])
        left_out[fold] = ridge.predict(with_bias[fold]).reshape(len(fold), -1)
        weights = ridge.coef_.reshape(targets.shape[1], -1).T
        of_unseen[fold] = unseen[fold] @ weights[:-1] + weights[-1]
    weights = ridge.fit(with_bias, targets).coef_.reshape(targets.shape[1], -1).T
    return RidgeFit(weights[:-1].astype(np.float64), weights[-1].astype(np.float64), left_out, of_unseen)


def fit_odds(scores: Doubles, targets: npt.NDArray[np.uint8], known: Known | None = None) -> tuple[Doubles, Doubles]:
    """Return a slope and a bias for each label that map left-out `scores` to log-odds: slope * score + bias.

    Platt scaling (1999) by label, regularised towards a slope of 6 around a score of one half: a label with few texts
    has too little evidence for a slope of its own. A slope is at least 1: the left-out score of a text without useful
    words is slightly lower if it has the label, which must not invert the label. Only `known` targets count.
    """
    from scipy.optimize import minimize

    num_labels = scores.shape[1]
    centred, prior = scores - 0.5, np.repeat([_SLOPE, 0.0], num_labels)

    def loss(parameters: Doubles) -> tuple[float, Doubles]:
        slope, bias = parameters.reshape(2, num_labels)
        logits = slope * centred + bias
        away, odds = parameters - prior, np.exp(-np.abs(logits))
        error = np.where(logits > 0, 1, odds) / (1 + odds) - targets
        surprise = np.maximum(logits, 0) + np.log1p(odds) - targets * logits
        if known is not None:
            error, surprise = error * known, surprise * known
        gradient = np.concatenate([(error * centred).sum(axis=0), error.sum(axis=0)]) + _PRIOR_PRECISION * away
        return float(surprise.sum() + _PRIOR_PRECISION / 2 * (away**2).sum()), gradient

    bounds = [(_LEAST_SLOPE, None)] * num_labels + [(None, None)] * num_labels
    best = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000})
    slope, bias = best.x.reshape(2, num_labels)
    return slope, bias - 0.5 * slope


def fit_shift(logits: Doubles, targets: npt.NDArray[np.uint8], known: Known | None = None) -> float:
    """Return what to add to all log-odds so that the mean score is the share of the targets.

    One shift of all labels keeps the order of the scores. It is regularised towards 0 like the parameters of
    `fit_odds`, which only matters for a few texts.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    cells = np.ones(targets.shape, dtype=bool) if known is None else known
    odds, positives = logits[cells], float(targets[cells].sum())
    limit = 1 + len(odds) / _PRIOR_PRECISION  # the excess is below 0 at -limit and above 0 at limit
    return float(brentq(lambda shift: expit(odds + shift).sum() - positives + _PRIOR_PRECISION * shift, -limit, limit))


@dataclass(frozen=True)
class LexicalClassifier:
    """A linear map from features to log-odds: `weights` of shape (num_features, num_labels), and `bias`."""

    features: Features
    weights: Floats
    bias: Floats
    labels: list[str]
    task: Task

    @property
    def num_parameters(self) -> int:
        """Return the number of weights and biases."""
        return int(self.weights.size + self.bias.size)

    @property
    def size_bytes(self) -> int:
        """Return the bytes of the weights in memory."""
        return int(self.weights.nbytes + self.bias.nbytes)

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return log-odds of each label (multi-class: log-probabilities), of shape (num_texts, num_labels)."""
        if not len(texts):
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        return normalised(np.asarray(self.features.transform(texts) @ self.weights + self.bias), self.task)

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Return scores in [0, 1], float32 of shape (num_texts, num_labels)."""
        return probabilities(self.logits(texts), self.task)

    def explain(self, texts: Sequence[str]) -> list[list[tuple[str, str, float]]]:
        """Return (label, words, share) for each text, strongest first: the five strongest features of each label.

        Labels with a score of at least .1 are explained; a share is in log-odds.
        """
        if not len(texts):
            return []
        names, features = self.features.names(), self.features.transform(texts)
        return [
            self._evidence(features[[row]].tocoo(), scores, names)
            for row, scores in enumerate(self.predict_proba(texts))
        ]

    def _evidence(self, one: Any, scores: Floats, names: list[str]) -> list[tuple[str, str, float]]:
        evidence = []
        for label in np.flatnonzero(scores >= _WORTH_EXPLAINING):
            shares: dict[str, float] = {}  # " bert " of characters and "bert" of words look the same
            for column, share in zip(one.col, one.data * self.weights[one.col, label], strict=True):
                shares[names[column]] = shares.get(names[column], 0.0) + float(share)
            strongest = sorted(shares.items(), key=lambda item: -item[1])[:_MOST]
            evidence += [(self.labels[label], words, share) for words, share in strongest if share > 0]
        return sorted(evidence, key=lambda item: -item[2])

    def save(self, directory: Path) -> None:
        """Write weights.npz, model.json and the files of the features."""
        self.features.save(directory)
        np.savez(directory / "weights.npz", weights=self.weights, bias=self.bias)
        content = {"labels": self.labels, "task": self.task.value}
        text = json.dumps(content, ensure_ascii=False)
        (directory / "model.json").write_bytes(text.encode("utf-8", "backslashreplace"))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load what `save` wrote; the scores are bit-identical."""
        content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        arrays = np.load(directory / "weights.npz", allow_pickle=False)
        features = Features.load(directory)
        return cls(features, arrays["weights"], arrays["bias"], content["labels"], Task(content["task"]))


def fit_lexical(train: Dataset, settings: LexicalSettings, within: str = "") -> tuple[LexicalClassifier, Floats]:
    """Fit the classifier. Return it with left-out scores: each train text's score by weights fitted without it.

    A left-out score is for distillation. It has seen the text in two ways. The text's own n-grams are in the vocabulary
    (and count for the IDF), which involves no label. Its labels are among all those that the slope and the bias of a
    label were fitted to. Their mean is that of the labels.

    The scores of the classifier are for unseen texts. These have longer features: n-grams that only they have are in
    no vocabulary, and the length of all is 1 without them. Their scores would be too high (by 6 % on average for Made
    With ML). So the log-odds of all labels get one shift that makes the mean score of truly left-out texts, whose
    features are made without them, equal to the mean of the labels. Classes need none: their scores sum to 1.

    `within` is the path of the settings for messages, as in "lexical.". A label of no text, or of all texts, always
    gets a score of 0, or 1. Each label learns from the texts whose target is known.

    Raises:
        UserError: the texts contain no word, or none that `min_df` keeps.
    """
    try:
        features = Features.fit(train.texts, train.labels, train.taxonomy, settings)
    except ValueError as error:
        few, texts = settings.min_df, f"the {len(train)} train texts"
        remedy = f"model.{within}min_df={few} leaves no n-gram of {texts}: set model.{within}min_df=1"
        raise UserError(remedy if few > 1 else f"{texts} contain no word to learn from") from error
    targets, known = prepare_fit(train.targets, train.known)
    matrix = features.transform(train.texts)
    unseen = features.leave_out(matrix) if train.task is Task.multilabel else None
    fit = fit_ridge(matrix, targets, settings.C, known, unseen)
    slope, offset = fit_odds(fit.left_out, targets, known)
    share = targets.mean(axis=0) if known is None else targets.sum(axis=0) / known.sum(axis=0)
    constant = np.isin(share, (0, 1))
    shift = 0.0
    if unseen is not None:
        varying = np.broadcast_to(~constant, targets.shape)
        shift = fit_shift(fit.unseen * slope + offset, targets, varying if known is None else known & varying)
    weights = np.where(constant, 0, fit.weights * slope)
    always = np.where(share > 0.5, np.inf, -np.inf)
    bias = np.where(constant, always, fit.bias * slope + offset + shift)
    left_out_logits = np.where(constant, always, fit.left_out * slope + offset)
    classifier = LexicalClassifier(
        features,
        np.asarray(weights, dtype=np.float32),
        np.asarray(bias, dtype=np.float32),
        list(train.labels),
        train.task,
    )
    return classifier, probabilities(normalised(left_out_logits, train.task), train.task)


def normalised(logits: npt.NDArray[Any], task: Task) -> Floats:
    """Return the logits; for multi-class log-probabilities: a class's score divided by the sum of all classes."""
    if task is Task.multilabel:
        return np.asarray(logits, dtype=np.float32)
    from scipy.special import log_expit, logsumexp

    with np.errstate(invalid="ignore"):
        logs = log_expit(logits)
        shares = logs - logsumexp(logs, axis=1, keepdims=True)
    return np.asarray(np.nan_to_num(shares, nan=-np.log(logits.shape[1]), neginf=-np.inf), dtype=np.float32)


def probabilities(logits: Floats, task: Task) -> Floats:
    """Return the scores, in [0, 1], of what `normalised` returned."""
    from scipy.special import expit

    return np.asarray(expit(logits) if task is Task.multilabel else np.exp(logits), dtype=np.float32)
