"""The command line: `ratchet <verb>`, and `python train.py`. Verbs are thin: parse, call, print."""
