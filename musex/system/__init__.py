"""What is wanted of the machine, and knows nothing of music: files written whole, processes, signals, JSON, words."""
