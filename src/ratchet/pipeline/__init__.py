"""The stages of dvc.yaml: each reads the files that it declares and writes the ones that it owns, under build/.

`freeze` composes configurations and takes the code's fingerprints, `prepare` and `split` make the data, `train` one run
each, `compare`, `gate` and `report` read them. `check` holds what came out against the locks of a commit.
"""
