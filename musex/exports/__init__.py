"""What other programs open: the cuts of a plan as timelines, projects, labels and tables. No sound is made here."""
