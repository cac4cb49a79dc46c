"""Studies that take longer than a lesson may; each writes its figures into results/, with date, machine and seeds."""
