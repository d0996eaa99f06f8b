"""What a rule is: its tree, its JSON, and what a catalogue says against it."""
