"""What the imitation of Unified.to is about: its integrations, accounts and credentials, by number."""

from typing import Any

TOKEN = "demo-workspace-token-planted-secret-4b7d"
WORKSPACE = "64b7e0f1a2b3c4d5e6f70819"
ENVIRONMENTS = ("Production", "Production", "Sandbox", "Production", "Production", "Staging")
"""Two in three are in Production."""
UNKNOWN_PERMISSION = "telepathy_thought_read"
DAY_S = 86_400.0

INTEGRATIONS = (
    ("hubspot", "HubSpot", "crm martech", "crm_company crm_contact crm_deal martech_list"),
    ("bamboohr", "BambooHR", "hris scim", "hris_employee hris_group hris_timeoff scim_users"),
    ("slack", "Slack", "messaging uc", "messaging_message messaging_channel uc_call"),
    ("greenhouse", "Greenhouse", "ats assessment", "ats_candidate ats_job ats_scorecard assessment_package"),
    ("quickbooks", "QuickBooks Online", "accounting payment", "accounting_invoice accounting_journal payment_payout"),
    ("zendesk", "Zendesk", "ticketing forms", "ticketing_ticket ticketing_customer forms_form"),
    ("freee", "freee 会計", "accounting", "accounting_account accounting_taxrate"),
    ("googledrive", "Google Drive", "storage auth", "storage_file"),
    ("shopify", "Shopify", "commerce shipping", "commerce_item commerce_inventory shipping_label"),
    ("stripe", "Stripe", "payment", "payment_payment payment_link payment_subscription"),
    ("openai", "OpenAI", "genai", "genai_model genai_prompt"),
    ("notion", "Notion", "kms task datastore", "kms_page kms_space task_task datastore_table"),
    ("clearbit", "Clearbit", "enrich", "enrich_person enrich_company"),
    ("okta", "Okta", "auth scim saml", "scim_users scim_groups"),
    ("canvas", "Canvas LMS", "lms", "lms_course lms_student"),
    ("github", "GitHub", "repo metadata", "repo_repository repo_pullrequest metadata_metadata"),
    ("googlecalendar", "Google Calendar", "calendar", "calendar_event calendar_busy"),
    ("checkr", "Checkr", "verification", "verification_package verification_request"),
    ("metaads", "Meta Ads", "ads analytics", "ads_campaign ads_report analytics_event"),
    ("docusign", "Docusign", "signing", "signing_document signing_template"),
    ("segment", "Twilio Segment", "cdp clubs", "cdp_profile clubs_member"),
    ("lattice", "Lattice", "performance hris", "performance_goal hris_employee"),
    ("legacycrm", "", "passthrough", "crm_lead"),  # no longer on offer: not in the list of integrations
)

CUSTOMERS = ("customer", "顧客", "заказчик", "πελάτης", "عميل", "org|auth0|66f1")
ACCOUNTS = ("Dana Ito", "伊藤 多奈", "Łukasz Żółć", "Zoë O'Brien (finance, EMEA)", "עדי לוי", "Ops 🚀")
HEALTH = (
    "healthy",
    "flipping",
    "recovered",
    "relapsed",
    "healthy",
    "paused",
    "broken",
    "flipping",
    "healthy",
    "new",
)
"""How a connection fares, in turn. Relapsed was healthy once; broken never was."""
OUTCOMES = {"flipping": ("healthy", "healthy", "unhealthy"), "relapsed": ("unhealthy",), "broken": ("unhealthy",)}
_POINTERS = (
    ("auth_aws_arn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:planted-secret/"),
    ("auth_azure_keyvault_id", "https://vault.example.com/planted-secret-"),
    ("auth_gcp_secret_name", "projects/example/secrets/planted-secret-"),
    ("auth_hashi_vault_path", "kv/data/planted-secret-"),
    ("secretsmanager_id", "planted-secret-manager-"),
)


def environment_of(number: int) -> str | None:
    return None if number % 24 == 12 else ENVIRONMENTS[number % len(ENVIRONMENTS)]


def shown_ref(number: int) -> str | None:
    """The external reference as the row has it: none where it says nothing."""
    return without({"external_xref": external_ref(number)}, number).get("external_xref")


def kind_of(number: int) -> str:
    return HEALTH[number % len(HEALTH)]


def external_ref(number: int) -> str:
    long = "/subsidiary/department/team" * 9 * (number % 13 == 12)
    return f"{CUSTOMERS[number % len(CUSTOMERS)]}-{1000 + number}{long}"


def account(number: int) -> str:
    return ACCOUNTS[number // 2 % len(ACCOUNTS)] + ", on behalf of the shared service centre" * 5 * (number % 17 == 16)


def permissions(number: int) -> list[str]:
    nouns = INTEGRATIONS[number % len(INTEGRATIONS)][3].split()
    writes = [f"{noun}_write" for noun in nouns] if number % 2 else []
    others = [["webhook"], ["auth_login", "webhook"], [], [UNKNOWN_PERMISSION]][number % 4]
    return [f"{noun}_read" for noun in nouns] + writes + others


def secrets(number: int, *names: str) -> dict[str, Any]:
    return {name: f"planted-secret-{name}-{number}" for name in names}


def oauth1(number: int) -> dict[str, Any]:
    return {"auth": secrets(number, "token", "consumer_key", "consumer_secret", "key") | {"name": account(number)}}


def token(number: int) -> dict[str, Any]:
    positional = ["example-subdomain", f"planted-secret-positional-{number}"]
    return {"auth": secrets(number, "token", "dev_api_key") | {"other_auth_info": positional, "name": ""}}


def certificate(number: int) -> dict[str, Any]:
    pem = f"-----BEGIN PRIVATE KEY-----\nplanted-secret-pem-{number}\n-----END PRIVATE KEY-----"
    return {"auth": {"pem": pem, "name": None, "expiry_date": None, "meta": secrets(number, "tenant_password")}}


def pointer(number: int) -> dict[str, Any]:
    name, value = _POINTERS[number // 8 % len(_POINTERS)]
    return {name: f"{value}{number}"}


def nothing(number: int) -> dict[str, Any]:
    return {"auth": None, "auth_aws_arn": ""} if number % 16 == 7 else {}


def cursors(number: int) -> list[dict[str, Any]]:
    if number % 2 == 0:
        return []
    return [
        {"type": "crm_contact", "operation": "list", "value": str(1000 + number), "display": "page 4"},
        {"$ref": "next", "access_token": f"planted-secret-cursor-{number}"},
    ]


def without(row: dict[str, Any], number: int) -> dict[str, Any]:
    """The row with a text missing, null or empty in every seventh."""
    if number % 7 != 6:
        return row
    name = ("external_xref", "updated_at", "external_xref", "workspace_id")[number // 7 % 4]
    rest = {key: value for key, value in row.items() if key != name}
    return (rest, rest | {name: None}, rest | {name: ""})[number // 7 % 3]
