"""What may go wrong, done on purpose and at random: `python -m tests.faults` counts what musex makes of it."""
