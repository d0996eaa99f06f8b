"""What a journey says, and the plan that its published versions are walked by."""
