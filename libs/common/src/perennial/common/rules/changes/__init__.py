"""What can change an answer, and when: the clock, or one event more."""
