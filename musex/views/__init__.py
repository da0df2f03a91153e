"""What is looked at: pages, charts and spectrograms."""
