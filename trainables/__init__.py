"""The science: detectors, adaptation, attacks, analyses and the data they read.

Runs anywhere torch runs; knows nothing of Ray, MLflow, Optuna or the orchestrator.
"""
