"""GraphQL: everything that a client of the graph can see."""
