"""The Keras networks, imported by training only."""
