"""Side-by-side measurements: ours and its peer in the same run, printed as ratios."""
