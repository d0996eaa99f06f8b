"""Reports: figures of the programme, made by a job and read as JSON or CSV."""
