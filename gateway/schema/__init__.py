"""GraphQL types and thin resolvers.

`providers` binds what depends on the providers that are installed, `records` derives types from unified records, and
`fields` and `scalars` are what all declarations share. `connection`, `instance`, `abilities`, `runs`, `tasks`,
`facets`, `page` and `page_info` declare what is answered; `filters` and `selection` read what is asked for. `inputs`
declares what mutations take, `wishes` says what that means, and `payloads` what they give. `query` and `mutation` are
the roots, and `schema` puts it together.
"""
