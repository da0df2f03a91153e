"""One stream of many songs: what each has to give, in which order and how long they play, and where they are joined."""
