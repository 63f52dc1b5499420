"""One reason is refused in one form over every surface, with the statuses that the table of reasons names."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from banyan_node.api.errors import DOOR_CODES, REFUSALS, door_status, line_status
from banyan_node.operator_errors import CallError
from banyan_node.server.control_api import refused as over_control
from banyan_web.app import shown
from banyan_web.firehose.requests import refused as over_firehose
from banyan_web.platform.json_lines import refused_line
from banyan_web.platform.operations import row_of
from banyan_web.refusals import HttpRefusal, of_call, refusal

WHY = "Say it again, with a name."
EVERY = [CallError(code, WHY, status) for code, reason in REFUSALS.items() for status in reason.control]


def test_every_reason_has_its_status_and_one_form_over_each_surface() -> None:
    page = Request({"type": "http", "path": "/home", "headers": [(b"accept", b"text/html")]})
    for error in EVERY:
        control, why = over_control(error), of_call(error)
        assert control.status_code == error.status
        assert msgspec.json.decode(control.body) == {"error": {"code": error.code, "message": WHY}}
        assert why.status in REFUSALS[error.code].statuses
        said: dict[str, Any] = {"error": WHY, "code": error.code}
        assert (refusal(why).status_code, msgspec.json.decode(refusal(why).body)) == (why.status, said)
        assert refused_line(why) == said | {"status": why.status}
        row = {"state": "refused", "code": error.code, "message": WHY, "status": error.status}
        assert row_of({"id": "1"}, row) == said | {"status": line_status(error), "id": "1"}
        html = shown(page, why)
        assert (html.status_code, WHY.encode() in html.body) == (why.status, True)
        assert over_firehose(error).body == said


def test_a_reason_has_one_code_whoever_refuses_and_an_unknown_status_of_it_gets_a_known_one() -> None:
    for status, code in DOOR_CODES.items():
        assert status in REFUSALS[code].statuses
    for status in (401, 404, 405, 408, 409, 410, 413, 429, 451, 500, 502, 503, 507):
        assert HttpRefusal(status, WHY).code == DOOR_CODES[status] != "bad_request"
    assert HttpRefusal(418, WHY).code == "bad_request"
    assert {(one.status, door_status(one)) for one in EVERY if one.code == "refused"} == {(403, 403), (409, 422)}
    assert {(one.status, line_status(one)) for one in EVERY if one.status in (400, 403, 409)} == {
        (400, 422),
        (400, 400),
        (403, 403),
        (409, 409),
    }
    assert door_status(CallError("refused", WHY)) == 422
