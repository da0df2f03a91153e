"""What may be asked of a training: refused before TensorFlow is loaded, and anything computed."""

from pathlib import Path

from musex.config import GENERATIVE, Precision, Strategy
from musex.errors import DatasetError, MusexError
from musex.training.prepared import is_prepared
from musex.training.workers import read_workers


def check_order(dataset: Path, network: str, *, strategy: Strategy | None, precision: Precision) -> None:
    """Refuse what a network does not take; raises MusexError, and DatasetError for what it cannot learn from."""
    if network in GENERATIVE:
        if strategy is not None:
            raise MusexError(f"`strategy={strategy}` is for pointer: {network} learns on a single device")
        if precision == "mixed":
            raise MusexError(f"`precision=mixed` is for pointer: {network} is kept to the paper's recipe")
        if is_prepared(dataset):
            raise DatasetError(f"{network} learns from sound, which {dataset} does not hold: name the folder of music")
    if strategy == "multiworker":
        read_workers()
