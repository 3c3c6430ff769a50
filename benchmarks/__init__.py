"""What is claimed about speed, runnable: each module prints figures measured in one run, as counts or ratios."""
