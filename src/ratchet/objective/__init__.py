"""The gate: which model ships under an objective, why, and what the others would need."""
