"""Paired statistics over stored predictions: nothing here trains or predicts again."""
