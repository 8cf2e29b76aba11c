"""Shared parts of networks over token ids: settings, tokens, batches, loss, training with Lightning, scores, files.

`settings` is light. Everything else loads torch, so it is imported inside a tagger's `fit` and `load`. Lightning is
loaded by `fitting` and the modules that only `fitting` imports, so a stored model scores without it.
"""
