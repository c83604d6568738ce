"""Rewards that a model was trained for: reward models, judges, ensembles of them."""
