"""Make any piece of music last as long as you need.

    import musex

    longer = musex.extend("song.mp3", seconds=600)
    longer.samples, longer.sample_rate, longer.plan

Names are loaded when first used, from where `__init__.pyi` says: importing musex imports none of what makes music.
"""

import lazy_loader

__version__ = "0.1.0"  # stands before the names: with EAGER_IMPORT set their modules are imported now, and read it

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    """Also what Python itself and imported modules have put here, which the library's own leaves out."""
    return sorted({*globals(), *__all__})
