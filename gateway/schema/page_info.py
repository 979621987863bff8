"""How a list goes on: the same for every list."""

import strawberry

from gateway.schema.fields import described


@strawberry.federation.type(shareable=True, description="How a list goes on, as the Relay specification has it.")
class PageInfo:
    has_next_page: bool = described("Whether there is more after `endCursor`.")
    has_previous_page: bool = described("Whether there is more before `startCursor`.")
    start_cursor: str | None = described("The cursor of the first edge; null for an empty page.")
    end_cursor: str | None = described("The cursor of the last edge; null for an empty page.")
