"""The jobs that measure: one row for each day, source and trait."""
