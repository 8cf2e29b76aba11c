"""What the words of a text tell by themselves: n-grams, names of labels, and one linear classifier on them, no torch.

The regression is this and nothing else; the networks learn from it, and the transformer is averaged with it.
"""
