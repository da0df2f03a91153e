"""How good it is: judges and baselines."""
