"""Jumps on the waveform: aligned, crossfaded, measured, judged."""
