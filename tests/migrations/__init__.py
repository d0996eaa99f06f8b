"""What the migrations of every service say to Postgres, and whether a table in use can bear it."""
