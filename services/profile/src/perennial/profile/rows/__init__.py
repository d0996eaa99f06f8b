"""One derived row for each customer of today: what lists, searches and rules read."""
