"""What customers are called: by people, by rules, by imports, by their own words."""
