"""Records in, a checked data set and fixed splits out. No model knows a file format."""
