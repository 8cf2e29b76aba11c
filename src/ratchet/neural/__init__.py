"""What networks over token ids share: settings, tokens, batches, loss, fitting through Lightning, predicting, saving.

`settings` is light. Everything else loads torch, so it is imported inside a tagger's `fit` and `load`; Lightning is
loaded by `fitting` alone, so that a stored model scores without it.
"""
