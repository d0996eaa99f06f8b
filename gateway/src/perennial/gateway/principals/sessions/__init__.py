"""Staff sessions: opened by password, counted when it is wrong."""
