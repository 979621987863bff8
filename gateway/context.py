"""What one request carries from the endpoint to the resolvers."""

from collections.abc import Sequence

from graphql import GraphQLError
from strawberry.types import Info

from adapters.errors import AdapterError
from gateway import errors
from gateway.info import raw
from gateway.instances import Instances
from gateway.loaders import Loaders


class Context:
    """The instances, a fresh set of loaders, and the errors that go beside the data.

    Made inside the running loop, and closed when the answer is ready or nobody waits for it any more.
    """

    def __init__(self, instances: Instances, *, max_first: int) -> None:
        self.instances = instances
        self.max_first = max_first
        self.loaders = Loaders(instances)
        self.errors: list[GraphQLError] = []
        self._reported: set[AdapterError] = set()

    def report(self, failures: Sequence[AdapterError], info: Info) -> None:
        """Put failures beside the data, at the field of ``info``, without taking anything from it."""
        for failure in failures:
            if failure not in self._reported:  # several fields may have waited for the same call
                self._reported.add(failure)
                self.errors.append(self._placed(errors.from_adapter(failure), info))

    def _placed(self, error: GraphQLError, info: Info) -> GraphQLError:
        return GraphQLError(
            error.message,
            nodes=raw(info).field_nodes,
            path=info.path.as_list(),
            extensions=error.extensions,
            original_error=error.original_error,
        )

    def close(self) -> None:
        """End what is still under way for this request."""
        self.loaders.close()
