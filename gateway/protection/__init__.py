"""What stands before execution: reading the body, reading the request in it, and refusing queries that ask too much."""
