"""The Keras networks, imported by training only; and Keras and TensorFlow for all of training."""

import ctypes
import os
import platform

from musex.audio.ffmpeg import muted_stderr
from musex.errors import MusexError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own log; it is told no other way
try:
    with muted_stderr():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()  # asked first, CUDA tells that it is missing
except ImportError as error:
    raise MusexError("training needs TensorFlow: pip install 'musex[train]'") from error

if platform.libc_ver()[0] == "glibc":  # gives large arrays back and asks for them anew, which took half of a training
    libc = ctypes.CDLL(None)  # the numbers and what they mean: mallopt(3)
    libc.mallopt(-4, 0)  # M_MMAP_MAX: no array gets a mapping of its own,
    libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: and what is freed is kept for the next

__all__ = ["keras", "tf"]
