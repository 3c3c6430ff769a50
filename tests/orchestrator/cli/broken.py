"""A detector that cannot be built."""

from trainables.contract import Config as MemberConfig


class Config(MemberConfig):
    """No parameters."""


def build(config, classes):
    del config, classes
    raise ArithmeticError("no such thing")
