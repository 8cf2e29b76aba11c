"""Create projects: inspect a data file and write what a new project starts with."""
