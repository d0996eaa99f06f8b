"""When people work: calendars as data, and arithmetic in working time."""
