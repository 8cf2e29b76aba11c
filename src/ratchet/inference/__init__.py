"""Score texts with a finished run, an export or the promoted model; export runs; label the texts of files.

Nothing here loads torch, Hydra, DVC or W&B to score with an exported or a lexical model.
"""
