"""Reading a study's parameters is instant: no member imports torch, or anything as heavy, by itself."""

from __future__ import annotations

import subprocess
import sys

from trainables.registry import REGISTRIES

HEAVY = ("torch", "torchvision", "art", "pytorch_grad_cam", "matplotlib", "sklearn", "ray", "mlflow")


def test_importing_every_member_and_reading_its_config_leaves_heavy_packages_alone() -> None:
    modules = sorted(entry.module for registry in REGISTRIES.values() for entry in registry.values())
    code = f"""
import importlib, sys
for module in {modules!r}:
    config = getattr(importlib.import_module(module), "Config", dict)  # rules of selection have no parameters
    fields = getattr(config, "model_fields", {{}})
    config(**{{name: "file.csv" for name, field in fields.items() if field.is_required()}})
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
