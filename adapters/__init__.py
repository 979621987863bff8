"""Upstreams: everything about REST, nothing about GraphQL."""
