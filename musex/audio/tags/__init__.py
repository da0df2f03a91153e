"""Tags: read from whatever holds them, and written into an encoded file.

`source` reads them from the song's file; `target` says what an output's are and writes them. A module each knows one
family: `id3`, `vorbis`, `mp4`, `riff`, `ape`; `items` is what passes between them, `names` what they call the same.
"""

from musex.audio.tags.source import Source, read_source, read_tags
from musex.audio.tags.target import Output, prepare_output

__all__ = ["Output", "Source", "prepare_output", "read_source", "read_tags"]
