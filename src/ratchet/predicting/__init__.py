"""Predict the texts of a file: read in a stream, scored in batches, gone on with after a kill, written whole or not."""
