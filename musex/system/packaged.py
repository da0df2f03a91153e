"""Files that came with musex."""

from importlib import resources
from pathlib import Path


def packaged_file(name: str) -> Path:
    """A file of the models that came with musex: beside the package in a checkout, inside it when installed."""
    package = Path(str(resources.files("musex")))
    installed = package / "models" / name
    return installed if installed.exists() else package.parent / "models" / name
