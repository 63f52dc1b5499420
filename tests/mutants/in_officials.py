"""Mistakes in official channels: whose word makes one."""

from tests.mutants.mutant import Mutant

_VERIFIED, _APP = "storage/banyan_storage/verified.py", ("tests/node/test_officials.py",)

IN_OFFICIALS = (
    Mutant("an account verifies itself", _VERIFIED, "or platform == account or", "or", _APP),
    Mutant(
        "who claims no domain verifies",
        _VERIFIED,
        " or not is_domain(field_of(ask, platform, DOMAIN_FIELD)):",
        ":",
        _APP,
    ),
    Mutant(
        "a platform of what is no domain verifies",
        _VERIFIED,
        "not is_domain(field_of(ask, platform, DOMAIN_FIELD)):",
        "not field_of(ask, platform, DOMAIN_FIELD):",
        _APP,
    ),
    Mutant(
        "an urgent post of anybody is told",
        "node/banyan_node/hosting/hearing.py",
        "        return official(one.who)\n",
        "        return True\n",
        _APP,
    ),
)
