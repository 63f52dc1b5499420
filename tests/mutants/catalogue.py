"""The list of all mistakes."""

from tests.mutants.in_apps_further import IN_APPS_FURTHER
from tests.mutants.in_channels import IN_CHANNELS
from tests.mutants.in_checkpoints import IN_CHECKPOINTS
from tests.mutants.in_crdt import IN_CRDT
from tests.mutants.in_damage import IN_DAMAGE
from tests.mutants.in_events import IN_EVENTS
from tests.mutants.in_firehose import IN_FIREHOSE
from tests.mutants.in_floods import IN_FLOODS
from tests.mutants.in_groups import IN_GROUPS
from tests.mutants.in_handles import IN_HANDLES
from tests.mutants.in_home import IN_HOME
from tests.mutants.in_interest import IN_INTEREST
from tests.mutants.in_leaving import IN_LEAVING
from tests.mutants.in_locked import IN_LOCKED
from tests.mutants.in_media import IN_MEDIA
from tests.mutants.in_moderation import IN_MODERATION
from tests.mutants.in_moves import IN_MOVES
from tests.mutants.in_moving import IN_MOVING
from tests.mutants.in_node import IN_NODE
from tests.mutants.in_notices import IN_NOTICES
from tests.mutants.in_officials import IN_OFFICIALS
from tests.mutants.in_omissions import IN_OMISSIONS
from tests.mutants.in_pages import IN_PAGES
from tests.mutants.in_people import IN_PEOPLE
from tests.mutants.in_people_app import IN_PEOPLE_APP
from tests.mutants.in_platform import IN_PLATFORM
from tests.mutants.in_profiles import IN_PROFILES
from tests.mutants.in_schema import IN_SCHEMA
from tests.mutants.in_service import IN_SERVICE
from tests.mutants.in_slots import IN_SLOTS
from tests.mutants.in_social import IN_SOCIAL
from tests.mutants.in_statuses import IN_STATUSES
from tests.mutants.in_storage import IN_STORAGE
from tests.mutants.in_throttle import IN_THROTTLE
from tests.mutants.in_web import IN_WEB
from tests.mutants.in_workers import IN_WORKERS

MUTANTS = (
    *IN_CHECKPOINTS,
    *IN_CRDT,
    *IN_DAMAGE,
    *IN_CHANNELS,
    *IN_EVENTS,
    *IN_FIREHOSE,
    *IN_FLOODS,
    *IN_GROUPS,
    *IN_HANDLES,
    *IN_HOME,
    *IN_LOCKED,
    *IN_MODERATION,
    *IN_MOVES,
    *IN_MOVING,
    *IN_INTEREST,
    *IN_LEAVING,
    *IN_MEDIA,
    *IN_NODE,
    *IN_OMISSIONS,
    *IN_THROTTLE,
    *IN_NOTICES,
    *IN_OFFICIALS,
    *IN_PAGES,
    *IN_PEOPLE,
    *IN_APPS_FURTHER,
    *IN_PEOPLE_APP,
    *IN_PLATFORM,
    *IN_PROFILES,
    *IN_SCHEMA,
    *IN_SERVICE,
    *IN_SLOTS,
    *IN_SOCIAL,
    *IN_STORAGE,
    *IN_STATUSES,
    *IN_WEB,
    *IN_WORKERS,
)
