"""What one request carries from the endpoint to the resolvers."""

from collections.abc import Sequence

from graphql import GraphQLError
from strawberry.types import Info

from adapters.errors import AdapterError
from gateway import errors
from gateway.instances import Instances
from gateway.loaders import Loaders
from gateway.schema.raw import raw


class Context:
    """The instances, a fresh set of loaders, and the errors that go beside the data.

    Made inside the running loop, and closed when the answer is ready or nobody waits for it any more.
    """

    def __init__(self, instances: Instances, *, max_first: int) -> None:
        self.instances = instances
        self.max_first = max_first
        self.loaders = Loaders(instances)
        self.errors: list[GraphQLError] = []

    def report(self, failures: Sequence[AdapterError], info: Info) -> None:
        """Put failures beside the data, at the field of ``info``, without taking anything from it."""
        told = {(error.message, str(error.extensions)): error for error in map(errors.from_adapter, failures)}
        self.errors += [self._placed(error, info) for error in told.values()]

    def refuse(self, error: GraphQLError, info: Info, key: str | int | None = None) -> None:
        """Put an error beside the data, at the field of ``info`` or, in its list, at ``key``."""
        self.errors.append(self._placed(error, info, key))

    def _placed(self, error: GraphQLError, info: Info, key: str | int | None = None) -> GraphQLError:
        path = [*info.path.as_list(), *([] if key is None else [key])]
        return GraphQLError(
            error.message,
            nodes=raw(info).field_nodes,
            path=path,
            extensions=error.extensions,
            original_error=error.original_error,
        )

    def close(self) -> None:
        """End what is still under way for this request."""
        self.loaders.close()
