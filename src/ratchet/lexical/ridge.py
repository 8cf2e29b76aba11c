"""One ridge regression a label, all at once, and what each train text would score had it been left out."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]

_EXACT = 5000  # texts up to which the matrix of their products is held: 200 MB
_FOLDS = 5
_SLOPE, _LEAST_SLOPE, _PRIOR_PRECISION = 6.0, 1.0, 0.1


def fit_ridge(features: "csr_matrix", targets: npt.NDArray[np.uint8], C: float) -> tuple[Floats, Floats, Floats]:
    """Weights of shape (num_features, num_labels), biases, and left-out scores of shape (num_texts, num_labels).

    Least squares on targets of 0 and 1, regularised by 1 / C, the bias as one weight more. With fewer texts than
    n-grams the dual is the small side (Saunders et al. 1998): one Cholesky factor of the texts' products serves all
    labels, and gives the score of each text without itself in closed form (Allen 1974's PRESS). Beyond `_EXACT`
    texts scikit-learn's conjugate gradients do it, and left-out scores come from five folds.
    """
    if features.shape[0] > _EXACT:
        return _fit_iteratively(features, targets, C)
    from scipy.linalg import cho_factor, cho_solve
    from scipy.linalg.lapack import dpotri
    from sklearn.utils.extmath import safe_sparse_dot

    products = safe_sparse_dot(features, features.T, dense_output=True).astype(np.float64) + 1.0
    products[np.diag_indices(len(products))] += 1 / C
    factor, lower = cho_factor(products, lower=True, overwrite_a=True)
    dual = cho_solve((factor, lower), targets.astype(np.float64))
    inverse, _ = dpotri(factor, lower=True, overwrite_c=True)
    left_out = targets - dual / inverse.diagonal()[:, None]
    return features.T @ dual, dual.sum(axis=0), left_out


def _fit_iteratively(features: "csr_matrix", targets: npt.NDArray[np.uint8], C: float) -> tuple[Floats, Floats, Floats]:
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold

    with_bias = hstack([features, csr_matrix(np.ones((features.shape[0], 1), features.dtype))], format="csr")
    ridge: Any = Ridge(alpha=1 / C, fit_intercept=False, solver="sparse_cg", tol=1e-5)
    left_out = np.zeros(targets.shape)
    for rest, fold in KFold(_FOLDS, shuffle=True, random_state=0).split(targets):
        left_out[fold] = ridge.fit(with_bias[rest], targets[rest]).predict(with_bias[fold]).reshape(len(fold), -1)
    weights = ridge.fit(with_bias, targets).coef_.reshape(targets.shape[1], -1).T
    return weights[:-1].astype(np.float64), weights[-1].astype(np.float64), left_out


def fit_odds(scores: Floats, targets: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Slopes and biases, one of each a label, that make log-odds of left-out `scores`: slope * score + bias.

    Platt's scaling (1999), label by label, drawn towards a slope of 6 around a score of one half, so that a label on
    few texts does not get a slope of its own on no evidence. A slope never falls under 1: left out, a text on which
    nothing tells anything scores a little less where it has the label, which is no reason to turn the label round.
    """
    from scipy.optimize import minimize

    num_labels = scores.shape[1]
    centred, prior = scores - 0.5, np.repeat([_SLOPE, 0.0], num_labels)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, bias = parameters.reshape(2, num_labels)
        logits = slope * centred + bias
        away, odds = parameters - prior, np.exp(-np.abs(logits))
        error = np.where(logits > 0, 1, odds) / (1 + odds) - targets
        gradient = np.concatenate([(error * centred).sum(axis=0), error.sum(axis=0)]) + _PRIOR_PRECISION * away
        surprise = (np.maximum(logits, 0) + np.log1p(odds) - targets * logits).sum()
        return float(surprise + _PRIOR_PRECISION / 2 * (away**2).sum()), gradient

    bounds = [(_LEAST_SLOPE, None)] * num_labels + [(None, None)] * num_labels
    best = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000})
    slope, bias = best.x.reshape(2, num_labels)
    return slope, bias - 0.5 * slope
