"""The parser's golden logs, as data for what comes after the parser."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "tsan" / "golden"


def golden(name, toolchain="clang-19"):
    """Return a golden log of one toolchain's runtime."""
    return (FOLDER / toolchain / f"{name}.log").read_text()
