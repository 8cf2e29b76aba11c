"""Decide which model ships under an objective: judge candidates, review the decision, promote."""
