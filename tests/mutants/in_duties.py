"""Mistakes in the rules of duties/: what orders of an alliance come to."""

from tests.mutants.mutant import Mutant

RULES, ITEMS = "tests/duties/test_rules.py", "tests/duties/test_commitment.py"

IN_DUTIES = (
    Mutant(
        "an order of any scope is in force",
        "order_rules.why_void",
        "order.scope.encode() not in role.scopes",
        "False",
        (RULES,),
    ),
    Mutant("one confirms its own order", "order_rules._seconds", "s.by != one.issuer", "True", (RULES,)),
    Mutant(
        "another paper confirms an order", "order_rules._seconds", "s.act.paper == one.order.paper", "True", (RULES,)
    ),
    Mutant("a role has no cap", "order_rules.standing", "taken + known[id].order.count <= cap", "True", (RULES,)),
    Mutant(
        "a void order takes room of the cap",
        "order_rules.standing",
        "known[id].order.count if fits else 0",
        "known[id].order.count",
        (RULES,),
    ),
    Mutant(
        "an issuer confirms against an appeal", "order_rules.may_rule", 'ruling.outcome == "ends"', "True", (RULES,)
    ),
    Mutant("anybody judges", "order_rules.may_rule", "scope is not None and by in scope.judges", "True", (RULES,)),
    Mutant(
        "an order has no end", "order_rules._decided", "at.last >= seen + one.order.term_s * 1_000", "False", (RULES,)
    ),
    Mutant(
        "an order that is suspended withholds",
        "order_rules.covered",
        'stands[order].word == "in force"',
        "True",
        (RULES,),
    ),
    Mutant(
        "what a judge excepted is withheld",
        "order_rules.covered",
        "item.leaf not in stands[order].lifted",
        "True",
        (RULES,),
    ),
    Mutant(
        "a platform is late for an order that is not in force",
        "order_rules.answers",
        'word == "in force"',
        "True",
        (RULES,),
    ),
    Mutant("a violation counts for every lock", "order_rules.locks", "since = []", "pass", (RULES,)),
    Mutant(
        "any items are those of an order",
        "commitment._of_order",
        "committed(found) == (order.count, order.root)",
        "True",
        (ITEMS,),
    ),
)
