"""From a study to its cells: pure functions, no torch, no Ray, no files."""
