"""The stems of a song: voice, drums, bass and the rest."""
