"""Compare candidates on the splits that all of them were measured on: from stored runs to one `Comparison`."""
