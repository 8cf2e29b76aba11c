"""A linear classifier on the n-grams of a text and the names of labels in it, without torch.

The model `regression` is this classifier. The networks are distilled from it, and the transformer is averaged with it.
"""
