"""Runs the grid *train generator × test generator × adaptation* of AI-generated-image detectors on Ray."""
