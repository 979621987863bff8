"""The GraphiQL page: where a person asks the graph by hand.

Everything it loads is a file of ours in `static/`, so it works with no way out to the internet, under a content
security policy that allows nothing else. `scripts/graphiql` makes those files; `page` writes the HTML around them.
"""
