"""The Keras networks, imported by training only; and Keras and TensorFlow for all of training."""

import os

from musex.audio import muted_stderr
from musex.errors import MusexError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own log; it is told no other way
try:
    with muted_stderr():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()  # asked first, CUDA tells that it is missing
except ImportError as error:
    raise MusexError("training needs TensorFlow: pip install 'musex[train]'") from error

__all__ = ["keras", "tf"]
