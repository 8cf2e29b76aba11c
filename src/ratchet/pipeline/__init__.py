"""The stages of dvc.yaml: each reads the files that it declares and writes the ones that it owns, under build/.

`config` composes the configurations and hashes the code. `prepare` and `split` write the data, each `train` one run.
`compare`, `gate` and `report` read the runs. `check` compares the results with those of a commit.
"""
