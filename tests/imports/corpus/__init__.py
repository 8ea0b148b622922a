"""Package trees, what really happens in them, and how well the predictor knows it."""
