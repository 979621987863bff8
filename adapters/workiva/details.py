"""What only Workiva knows of a connection: its member of the graph's ``details`` union."""

import datetime as dt
from typing import Annotated, Any

from msgspec import Meta

from adapters.model import Record

Text = str | None
Time = dt.datetime | None
Json = dict[str, Any] | None


class WorkivaRun(Record, frozen=True, kw_only=True):
    """The last run of a Wdata connection, with a status for each side. Free-form maps have credentials masked."""

    job_id: Annotated[Text, Meta(description="Id of the run.")] = None
    connection_id: Annotated[Text, Meta(description="Native id of the connection that ran.")] = None
    workspace_id: Annotated[Text, Meta(description="Workspace that the connection belongs to.")] = None
    source_workspace_id: Annotated[Text, Meta(description="Workspace of the source.")] = None
    destination_workspace_id: Annotated[Text, Meta(description="Workspace of the destination.")] = None
    source_status: Annotated[
        Text, Meta(description="Raw status of the source side: not_started, running, complete, error or cancelled.")
    ] = None
    destination_status: Annotated[
        Text, Meta(description="Raw status of the destination side, in the words of the source's.")
    ] = None
    created: Annotated[Time, Meta(description="When the run was started.")] = None
    created_by: Annotated[Text, Meta(description="Id of the user who started it.")] = None
    updated: Annotated[Time, Meta(description="When the run last changed; its end, once both sides have ended.")] = None
    source_parameters: Annotated[Json, Meta(description="Parameters given to the source.")] = None
    destination_parameters: Annotated[Json, Meta(description="Parameters given to the destination.")] = None
    source_metadata: Annotated[Json, Meta(description="Metadata given to the source.")] = None
    destination_metadata: Annotated[Json, Meta(description="Metadata given to the destination.")] = None
    error: Annotated[Text, Meta(description="What went wrong when the run was started, in Workiva's words.")] = None


class WorkivaConnection(Record, frozen=True, kw_only=True):
    """What only Workiva Wdata knows of a connection. Free-form maps have credentials masked."""

    source_type: Annotated[Text, Meta(description="Raw type of the source, such as wdata_query.")] = None
    source_workspace_id: Annotated[Text, Meta(description="Workspace of the source.")] = None
    destination_type: Annotated[Text, Meta(description="Raw type of the destination, such as document_chart.")] = None
    destination_workspace_id: Annotated[Text, Meta(description="Workspace of the destination.")] = None
    last_run: Annotated[WorkivaRun | None, Meta(description="The last run, with both sides.")] = None
    last_run_job_id: Annotated[Text, Meta(description="Id of the last run.")] = None
    last_run_date: Annotated[Time, Meta(description="When the connection last ran.")] = None
    last_run_by: Annotated[Text, Meta(description="Id of the user who last ran it.")] = None
    last_run_source_parameters: Annotated[Json, Meta(description="Parameters of the source in the last run.")] = None
    last_run_destination_parameters: Annotated[
        Json, Meta(description="Parameters of the destination in the last run.")
    ] = None
    metadata: Annotated[Json, Meta(description="Further information that Workiva keeps with the connection.")] = None
