"""What the imitation of Wdata is about: its connections' ends, names and outcomes, by number."""

from collections.abc import Mapping

from adapters.imitation import Beat, native_id

WORKSPACE = "QWNjb3VudB8xMjM0NTY3ODk"
OTHER_WORKSPACE = "QWNjb3VudB85ODc2NTQzMjE"
USERS = ("V0ZVc2VyHzUxMjM0NTY3OA", "V0ZVc2VyHzkwODcyMTU1MQ", "V0ZVc2VyHzcyMDAxMTI4Mw")
SPREADSHEETS = ("spreadsheet", "spreadsheet_section")

SOURCE_TYPES = (
    "wdata_query",
    "wdata_table",
    "wdata_shared_query",
    "spreadsheet",
    "wdata_table_dataset",
    "esg_program",
    "report",
    "unknown_record_type",
)
DESTINATION_TYPES = (
    "spreadsheet_section",
    "document_chart",
    "presentation_chart",
    "presentation_embedded_table",
    "document_embedded_table",
    "spreadsheet",
    "document",
    "presentation",
    "chart_visual",
    "wdata_table",
)
SUBJECTS = (
    "Trial balance",
    "Headcount",
    "Scope 3 emissions",
    "Intercompany eliminations",
    "Tax provision",
    "連結試算表",
    "Segment revenue",
    "Lease liabilities",
    "Kassenflussrechnung",
    "Risk and control matrix",
    "Περιβαλλοντικοί δείκτες",
    "Debt covenants",
)
TARGETS = ("10-Q workbook", "board deck", "annual report", "統合報告書", "management letter")
OUTCOMES = (
    ("complete", "complete"),
    ("complete", "error"),
    ("error", "not_started"),
    ("complete", "cancelled"),
)


def connection_id(number: int) -> str:
    return native_id("workiva", number)


def ends(number: int) -> dict[str, str]:
    """What a connection reads from and writes to."""
    source_type = SOURCE_TYPES[number % len(SOURCE_TYPES)]
    return {
        "sourceType": source_type,
        "sourceId": native_id("source", source_type, number % 24),
        "destinationType": DESTINATION_TYPES[number % len(DESTINATION_TYPES)],
        "destinationId": native_id("destination", _written_to(number)) + "_sheet",
    }


def _written_to(number: int) -> int:
    """The connection whose destination this one has: its own, but for three of each sixty, which share a section of a
    spreadsheet with those of the next two thousand: as many as a spreadsheet may have."""
    return number - number % 1980 + 30 if number % 60 in (30, 40, 50) else number


def workbooks_of(of: Mapping[str, str]) -> frozenset[str]:
    """The workbooks that a connection with these ends is of: what stands in its spreadsheets' ids before the sheet."""
    spreadsheets = [of[f"{side}Id"] for side in ("source", "destination") if of[f"{side}Type"] in SPREADSHEETS]
    return frozenset(id.partition("_sheet")[0] for id in spreadsheets)


def name_of(number: int) -> str:
    subject, target = SUBJECTS[number % len(SUBJECTS)], TARGETS[number % len(TARGETS)]
    entity = f"entity {number:02d}"
    long = ", with prior-period comparatives and every adjustment that was posted after close" * (number % 13 == 12)
    return f"{subject} → {target} ({entity}){long}"


def outcomes(number: int) -> tuple[str, ...]:
    """Mostly good, some always failing, some that cancel: indexes into OUTCOMES."""
    kinds = ("0", "0", "0", "1", "0", "2", "0", "3")
    return (kinds[number % len(kinds)], "0", "0") if number % 10 == 1 else (kinds[number % len(kinds)],)


def sides(beat: Beat) -> tuple[str, str]:
    """The statuses of source and destination: nothing yet, then the source, then the destination."""
    if beat.ended_at is not None:
        return OUTCOMES[int(beat.outcome)]
    if beat.progress < 0.2:
        return "not_started", "not_started"
    return ("running", "not_started") if beat.progress < 0.6 else ("complete", "running")
