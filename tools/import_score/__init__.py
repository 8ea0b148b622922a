"""Score the prediction of import hazards against what happens in package trees, and write docs/import-scores.md."""
