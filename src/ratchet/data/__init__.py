"""Read records into a checked data set and divide it into fixed splits, so that no model knows a file format."""
