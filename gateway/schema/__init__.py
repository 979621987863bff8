"""GraphQL types and thin resolvers.

`providers` binds what depends on the providers that are installed, `records` derives types from unified records,
`connection`, `page` and `query` declare the rest, and `schema` puts it together.
"""
