"""Lists and search of customers: by name, identifier, tag, stage, segment and trait, in several orders."""
