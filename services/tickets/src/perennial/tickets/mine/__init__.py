"""What customers may do with their own tickets."""
