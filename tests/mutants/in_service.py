"""Mistakes in running as a service, in what doctor finds, and in the first questions."""

from tests.mutants.mutant import Mutant

_SERVICE, _CLI = ("tests/node/test_service.py",), ("tests/cli/test_service.py",)
_CHECKS, _WIZARD = ("tests/cli/test_checks.py",), ("tests/cli/test_wizard.py",)

IN_SERVICE = (
    Mutant(
        "a node that hangs is called alive",
        "node/banyan_node/service.py",
        "manager.watchdog_s is not None and node.held_up_s < STUCK_S",
        "manager.watchdog_s is not None",
        _SERVICE,
    ),
    Mutant(
        "children of a node are handed its manager",
        "node/banyan_node/service.py",
        'env.pop("NOTIFY_SOCKET", "")',
        'env.get("NOTIFY_SOCKET", "")',
        _SERVICE,
    ),
    Mutant(
        "a node is called ready before it serves",
        "node/banyan_node/service.py",
        "    while not node.up.is_set():\n",
        "    while False:\n",
        _SERVICE,
    ),
    Mutant(
        "a node without peers is ready for who asks for peers",
        "node/banyan_node/server/control.py",
        "reason is None and linked < int(wanted)",
        "reason is None and linked < 0",
        _CLI,
    ),
    Mutant(
        "nobody notices that peers take nothing of a node",
        "node/banyan_node/workers/published.py",
        "wrong_clock=wrong_clock(ctx.replica) or untaken,",
        "wrong_clock=wrong_clock(ctx.replica),",
        ("tests/node/test_completeness.py",),
    ),
    Mutant(
        "keys are changed by a clock that is ahead",
        "node/banyan_node/api/dispatch.py",
        "if not sure and wrong_clock is not None and (ahead_ms or 0) > FUTURE_MS:",
        "if False:",
        ("tests/node/test_own_log.py",),
    ),
    Mutant(
        "a control log that ends in the future is refused without what to do",
        "replica/banyan_replica/intake/author.py",
        '        if is_future(entry.header.time, now_ms):\n            raise Refused(\n                f"the control',
        '        if False:\n            raise Refused(\n                f"the control',
        ("tests/node/test_own_log.py",),
    ),
    Mutant(
        "a dial that is answered without a link is no sign of a copied home",
        "node/banyan_node/links/linking.py",
        'or f"{why}; {self._hint(peer)}"',
        "or str(why)",
        ("tests/node/test_node.py",),
    ),
    Mutant(
        "a port of another program is taken for the node's own",
        "cli/banyan_cli/checks/ports.py",
        "if not open_now[port] & own:",
        "if not open_now[port]:",
        _CHECKS,
    ),
    Mutant(
        "what a node that could not be made left behind stays",
        "cli/banyan_cli/making.py",
        "        for made in set(home.path.iterdir()) - before if home.path.exists() else ():",
        "        for made in ():",
        _WIZARD,
    ),
    Mutant(
        "config set takes paths as they are",
        "node/banyan_node/home/settings.py",
        '_checked(option, value, SettingSource("flag", where), path.parent)',
        "pass",
        ("tests/node/test_setting_checks.py",),
    ),
    Mutant(
        "of a list only the type is asked",
        "node/banyan_node/home/settings.py",
        "for item in found if isinstance(found, list) else [found]:",
        "for item in [] if isinstance(found, list) else [found]:",
        ("tests/node/test_setting_checks.py",),
    ),
    Mutant(
        "a number below zero is an option",
        "cli/banyan_cli/plain_params.py",
        "if _BELOW_ZERO.match(word):",
        "if False:",
        ("tests/cli/test_main.py",),
    ),
    Mutant(
        "a store changes its realm",
        "cli/banyan_cli/commands/setup.py",
        "        refuse_another_realm(s.home, REALMS[typed])\n",
        "        REALMS[typed]\n",
        ("tests/cli/test_main.py",),
    ),
    Mutant(
        "a worker waits for its clients when its node is gone",
        "web/banyan_web/workers/child.py",
        "    await asyncio.sleep(GONE_S)\n    _end_now(home)\n",
        "",
        ("tests/web/test_workers.py",),
    ),
    Mutant(
        "who asks while no worker serves waits",
        "web/banyan_web/workers/starting.py",
        "                if trio.current_time() - last < WAIT_S:",
        "                if last:",
        ("tests/web/test_workers.py",),
    ),
    Mutant(
        "a worker that was killed leaves its files",
        "web/banyan_web/workers/starting.py",
        "run_sync(remove, folder_of(self._node.home, process.pid))",
        "run_sync(lambda: None)",
        ("tests/web/test_uploads_interrupted.py",),
    ),
)
