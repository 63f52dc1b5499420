"""The list of all mistakes."""

from tests.mutants.in_charter import IN_CHARTER
from tests.mutants.in_cli import IN_CLI
from tests.mutants.in_crdt import IN_CRDT
from tests.mutants.in_duties import IN_DUTIES
from tests.mutants.in_intake import IN_INTAKE
from tests.mutants.in_node import IN_NODE
from tests.mutants.in_reading import IN_READING
from tests.mutants.in_replica import IN_REPLICA
from tests.mutants.in_schema import IN_SCHEMA
from tests.mutants.in_storage import IN_STORAGE
from tests.mutants.in_translog import IN_TRANSLOG
from tests.mutants.in_web import IN_WEB

MUTANTS = (
    *IN_CRDT,
    *IN_CHARTER,
    *IN_DUTIES,
    *IN_SCHEMA,
    *IN_STORAGE,
    *IN_READING,
    *IN_INTAKE,
    *IN_REPLICA,
    *IN_NODE,
    *IN_TRANSLOG,
    *IN_WEB,
    *IN_CLI,
)
