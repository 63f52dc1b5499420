"""Moderation: reports and decisions, for the moderators of this node; reporting, and what came of it, for everybody who
is logged in; the rules.

All of it are forms that need no scripts. Whether the visitor is a moderator is asked anew at each request, and the node
asks it again when it decides. What is about a moderator is for the others: it says who reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from starlette.responses import RedirectResponse, Response

from banyan_node.home.audit import Actor
from banyan_node.moderation.reports import COMMENT
from banyan_storage.local_tables import Verdict
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.endpoints.reports import CATEGORIES
from banyan_web.oauth.sessions import Visitor, writing
from banyan_web.page.rendering import as_page, language, reader, render, reports_for
from banyan_web.page.translations import LANGUAGES
from banyan_web.params import boolean, number, text, texts
from banyan_web.refusals import HttpRefusal

# The texts, in Vietnamese and English.

_ENGLISH_VIETNAMESE: Mapping[str, tuple[str, str]] = {
    "queue": ("Reports that wait", "Báo cáo đang chờ"),
    "closed": ("Decided reports", "Báo cáo đã xử lý"),
    "decisions": ("Decisions", "Các quyết định"),
    "law": ("What a decision does", "Quyết định có hiệu lực gì"),
    "nothing": ("Nothing is here.", "Không có gì."),
    "report": ("Report {id}", "Báo cáo {id}"),
    "against": ("against", "về"),
    "by": ("reported by", "người báo cáo:"),
    "and_others": ("and {count} more", "và {count} người nữa"),
    "rules": ("Rules named", "Nội quy được nêu"),
    "forward": (
        "The reporter wants the author's own platform to hear of it.",
        "Người báo cáo muốn nền tảng của tác giả biết.",
    ),
    "open": ("Open it", "Mở"),
    "older": ("More", "Xem thêm"),
    "as_reported": ("As it was when it was reported", "Nội dung lúc được báo cáo"),
    "as_now": ("As it is now", "Nội dung hiện nay"),
    "files": ("pictures or films", "ảnh hoặc phim"),
    "now_same": ("unchanged since", "chưa thay đổi"),
    "now_edited": ("edited since", "đã sửa sau đó"),
    "now_deleted": ("deleted by its author since", "tác giả đã xoá"),
    "now_withheld": ("withheld here, by an order", "đang bị giữ lại theo lệnh"),
    "now_hidden": ("hidden here", "đang bị ẩn ở đây"),
    "now_unknown": ("not held here any more", "nút này không còn giữ"),
    "conversation": ("its conversation", "cuộc trò chuyện"),
    "platform": ("The platform that confirms its handle:", "Nền tảng xác nhận tên của tài khoản:"),
    "no_platform": (
        "No platform confirms a handle of this account, so nobody knows from the graph who hosts it.",
        "Không nền tảng nào xác nhận tên của tài khoản này, nên đồ thị không cho biết ai lưu trữ nó.",
    ),
    "hosted": ("It is hosted at this node.", "Tài khoản này được lưu trữ tại nút này."),
    "before": ("earlier decisions about this account", "quyết định trước đây về tài khoản này"),
    "is_limited": ("It is limited here.", "Đang bị hạn chế ở đây."),
    "is_suspended": ("It is suspended here.", "Đang bị đình chỉ ở đây."),
    "yours": ("This is about you: another moderator has to decide it.", "Báo cáo về bạn: người khác phải xử lý."),
    "decide": ("Decide", "Quyết định"),
    "posts": ("About these posts", "Về các bài này"),
    "why": ("For the other moderators: why", "Cho các điều hành viên khác: lý do"),
    "text": (
        "For the author; of a warning, for everybody who reads the post",
        "Cho tác giả; với cảnh báo thì mọi người đọc bài đều thấy",
    ),
    "order": ("Order or decision (to withhold)", "Lệnh hoặc quyết định (khi giữ lại)"),
    "basis": ("Its legal basis", "Căn cứ pháp lý"),
    "scope": ("Where it applies", "Phạm vi áp dụng"),
    "days": ("For how many days; 0: until it is taken back", "Trong bao nhiêu ngày; 0: đến khi rút lại"),
    "to": ("The platform that was told (to pass it on)", "Nền tảng đã được báo (khi chuyển tiếp)"),
    "submit": ("Decide so", "Quyết định như vậy"),
    "undo": ("Take it back", "Rút lại"),
    "undone": ("taken back", "đã rút lại"),
    "operator": ("the operator of this node", "người vận hành nút"),
    "v_nothing": ("Nothing is done", "Không làm gì"),
    "v_label": ("A warning before the posts", "Đặt cảnh báo trước bài"),
    "v_hide": ("Hide the posts here", "Ẩn bài ở nút này"),
    "v_withhold": ("Withhold the posts, by an order", "Giữ lại nội dung theo lệnh"),
    "v_limit": ("Show the account to its followers only", "Chỉ người theo dõi mới thấy tài khoản"),
    "v_suspend": ("Suspend the hosted account", "Đình chỉ tài khoản tại nút này"),
    "v_pass_on": ("It was passed on to the author's platform", "Đã chuyển cho nền tảng của tác giả"),
    "h_nothing": ("The report is closed.", "Báo cáo được đóng lại."),
    "h_label": (
        "Readers of this node see your words, and open the post if they want to. Nothing changes at other nodes: the "
        "network has no word for labels.",
        "Người đọc ở nút này thấy lời bạn, và mở bài nếu muốn. Các nút khác không đổi gì: mạng không có nhãn chung.",
    ),
    "h_hide": (
        "No page, timeline, search or app of this node shows it. This node still holds it and gives it to other nodes, "
        "which decide for themselves.",
        "Không trang, dòng thời gian, tìm kiếm hay ứng dụng nào của nút này hiển thị bài. Nút vẫn giữ và vẫn đưa cho "
        "các nút khác, họ tự quyết định.",
    ),
    "h_withhold": (
        "This node gives the content to nobody any more, readers or nodes. Whoever asks for it gets a statement signed "
        "by this node: who withholds it, by which order, on what basis, where and until when. A copy is kept, so that "
        "it can be given back. Other nodes that hold it decide for themselves; only the author can delete it for all.",
        "Nút này không đưa nội dung cho ai nữa, dù là người đọc hay nút khác. Ai hỏi sẽ nhận một tuyên bố có chữ ký "
        "của nút: ai giữ lại, theo lệnh nào, căn cứ gì, ở đâu và đến khi nào. Một bản được lưu để có thể trả lại. Các "
        "nút khác đang giữ bài tự quyết định; chỉ tác giả mới xoá được cho tất cả.",
    ),
    "h_limit": (
        "Who does not follow it sees it in no timeline, search, list or notification here. Its own page stays.",
        "Ai không theo dõi sẽ không thấy tài khoản trong dòng thời gian, tìm kiếm, danh sách hay thông báo ở đây. "
        "Trang riêng của nó vẫn còn.",
    ),
    "h_suspend": (
        "This node writes nothing for it any more. It can read, take its data, and leave with its recovery key.",
        "Nút không viết gì cho tài khoản nữa. Người dùng vẫn đọc được, lấy dữ liệu và rời đi bằng khoá khôi phục.",
    ),
    "h_pass_on": (
        "The network has no word for reports, so write to the platform yourself; note here whom you told.",
        "Mạng không có cách gửi báo cáo, nên bạn hãy tự viết cho nền tảng và ghi lại đã báo cho ai.",
    ),
    "message": ("What you can send", "Nội dung có thể gửi"),
    "c_spam": ("spam", "thư rác"),
    "c_legal": ("against the law", "trái pháp luật"),
    "c_violation": ("against the rules", "trái nội quy"),
    "c_other": ("something else", "lý do khác"),
    "law_intro": (
        "A node decides only what it shows and gives out itself. No moderator can change or remove what others hold.",
        "Mỗi nút chỉ quyết định điều chính nó hiển thị và đưa ra. Không điều hành viên nào sửa hay xoá được những gì "
        "nơi khác đang giữ.",
    ),
    "law_network": (
        "The network has two signed words that bear on unlawful content and on the press: a withholding, by an order; "
        "and official channels, with which a platform says whose voice an account is.",
        "Mạng có hai lời có chữ ký liên quan đến nội dung trái luật và báo chí: giữ lại theo lệnh; và kênh chính thức, "
        "qua đó một nền tảng xác nhận tài khoản là tiếng nói của ai.",
    ),
    "law_orders": ("Orders in force here", "Các lệnh đang có hiệu lực ở đây"),
    "law_until": ("until", "đến"),
    "law_released": ("until it is taken back", "đến khi rút lại"),
    "law_press": ("The press, and its copyright", "Báo chí và bản quyền"),
    "law_press_how": (
        "Who holds the rights in a text reports the post as against the law and says where it was published first. An "
        "official channel that a platform verified is shown beside the author's name. If the claim is right, withhold "
        "the post and name the claim as the order: readers and nodes then see by whom and why.",
        "Chủ bản quyền báo cáo bài là trái pháp luật và nêu nơi đăng đầu tiên. Kênh chính thức được nền tảng xác nhận "
        "hiện cạnh tên tác giả. Nếu yêu cầu đúng, hãy giữ lại bài và ghi yêu cầu đó làm lệnh: người đọc và các nút "
        "khác sẽ thấy ai giữ lại và vì sao.",
    ),
    "official": ("Official: {title}, verified by {name}", "Chính thức: {title}, do {name} xác nhận"),
    "reporting": ("Report to the moderators of this node", "Báo cáo cho điều hành viên của nút này"),
    "reporting_what": ("What is it?", "Vấn đề là gì?"),
    "reporting_comment": ("What should they know?", "Họ cần biết điều gì?"),
    "reporting_forward": ("The author's own platform should hear of it", "Nền tảng của tác giả nên được biết"),
    "reporting_submit": ("Report", "Báo cáo"),
    "reporting_note": (
        "The author is not told who reports. You see what comes of it on the page of your reports.",
        "Tác giả không biết ai báo cáo. Bạn xem kết quả ở trang báo cáo của mình.",
    ),
    "mine": ("What I reported", "Các báo cáo của tôi"),
    "about_me": ("Decisions about me", "Quyết định về tôi"),
    "waits": ("It waits for a moderator.", "Đang chờ điều hành viên."),
    "house": ("Rules of this server", "Nội quy của máy chủ này"),
    "no_rules": ("No rules are set down here.", "Ở đây chưa có nội quy."),
    "terms": ("Terms of service", "Điều khoản dịch vụ"),
    "privacy": ("Privacy policy", "Chính sách riêng tư"),
}
MODERATION: Mapping[str, Mapping[str, str]] = {
    lang: {key: both[n] for key, both in _ENGLISH_VIETNAMESE.items()} for n, lang in enumerate(LANGUAGES)
}
"""By language and key."""


ENDPOINTS = Endpoints()
A_PAGE = 20
VERDICTS = get_args(Verdict)
LATEST = 1 << 52


async def _shown(web: DoorContext, ask: DoorRequest, template: str, **values: Any) -> Response:
    return await render(web, ask, template, m=MODERATION[language(ask)], **values)


async def _demand(web: DoorContext, me: Visitor | None) -> Visitor:
    """Raises HttpRefusal for who is no moderator now."""
    if me is None:
        raise HttpRefusal(401, "Log in first.")
    if await reports_for(web, me) is None:
        raise HttpRefusal(403, "Only moderators of this node see this.")
    return me


def _somebody(web: DoorContext, ask: DoorRequest) -> Visitor:
    me = reader(web, ask)
    if me is None:
        raise HttpRefusal(401, "Log in first.")
    return me


def _after(ask: DoorRequest) -> int | None:
    return number(ask.params, "after", 0, LATEST, 0) or None


def _number(ask: DoorRequest) -> int:
    said = ask.path["id"]
    if not said.isascii() or not said.isdigit() or not 0 < len(said) < 16 or not int(said):
        raise HttpRefusal(404, "There is nothing of that number.")
    return int(said)


@ENDPOINTS.get("/moderation")
@as_page
async def queue(web: DoorContext, ask: DoorRequest) -> Response:
    """The reports that wait, and those that were decided."""
    me = await _demand(web, reader(web, ask))
    state = "closed" if ask.params.get("state") == "closed" else "open"
    found = await web.call("report.list", state=state, after=_after(ask), limit=A_PAGE)
    found["reports"] = [row for row in found["reports"] if row["account"]["account"] != me.did]
    return await _shown(web, ask, "moderation.html", found=found, state=state)


@ENDPOINTS.get("/moderation/reports/{id}")
@as_page
async def report(web: DoorContext, ask: DoorRequest) -> Response:
    """One report: the posts as they were and as they are, who reported, and the decision."""
    me = await _demand(web, reader(web, ask))
    found = await web.call("report.show", id=_number(ask))
    if found["account"]["account"] == me.did:
        raise HttpRefusal(403, "This report is about you: the other moderators see to it.")
    official = (await web.call("profile.get", account=found["account"]["account"]))["official"]
    rules = {rule: web.server.rules.rule(rule) or rule for rule in found["rules"]}
    verdicts = [one for one in VERDICTS if (one != "suspend" or found["standing"]["hosted"])]
    return await _shown(
        web, ask, "report.html", report=found, rules=rules, official=official, verdicts=verdicts, categories=CATEGORIES
    )


@ENDPOINTS.get("/moderation/decisions")
@as_page
async def decisions(web: DoorContext, ask: DoorRequest) -> Response:
    """What was decided; each decision can be taken back."""
    me = await _demand(web, reader(web, ask))
    found = await web.call("decision.list", after=_after(ask), limit=A_PAGE)
    found["decisions"] = [row for row in found["decisions"] if row["account"]["account"] != me.did]
    return await _shown(web, ask, "decisions.html", found=found)


@ENDPOINTS.get("/moderation/law")
@as_page
async def law(web: DoorContext, ask: DoorRequest) -> Response:
    """What each decision does and does not do, and the orders that are in force here."""
    await _demand(web, reader(web, ask))
    orders = (await web.call("content.withheld"))["posts"]
    return await _shown(web, ask, "law.html", orders=orders, verdicts=VERDICTS)


@ENDPOINTS.post("/moderation/reports/{id}/decide")
@as_page
async def decide(web: DoorContext, ask: DoorRequest) -> Response:
    """Decides a report."""
    me, number_ = await _demand(web, writing(web, ask)), _number(ask)
    verdict, why = text(ask.params, "verdict"), text(ask.params, "why", "")
    if verdict not in VERDICTS:
        raise HttpRefusal(422, f"A verdict is one of {', '.join(VERDICTS)}.")
    said = {name: text(ask.params, name, "") for name in ("text", "order", "basis", "scope", "to")}
    await web.act(
        Actor(me.did, "page", why or None),
        "decision.add",
        verdict=verdict,
        report=number_,
        posts=texts(ask.params, "posts"),
        why=why,
        days=number(ask.params, "days", 0, 36_500, 0),
        by=me.did,
        **said,
    )
    return RedirectResponse(f"/moderation/reports/{number_}", 303)


@ENDPOINTS.post("/moderation/decisions/{id}/undo")
@as_page
async def undo(web: DoorContext, ask: DoorRequest) -> Response:
    """Takes a decision back."""
    me, why = await _demand(web, writing(web, ask)), text(ask.params, "why", "")
    made = await web.act(Actor(me.did, "page", why or None), "decision.undo", id=_number(ask), why=why, by=me.did)
    report_ = made["report"]
    return RedirectResponse("/moderation/decisions" if report_ is None else f"/moderation/reports/{report_}", 303)


@ENDPOINTS.get("/report")
@as_page
async def reporting(web: DoorContext, ask: DoorRequest) -> Response:
    """The form to report a post, or an account."""
    me, uri = _somebody(web, ask), text(ask.params, "uri", "")
    account = uri.partition("/")[0] or text(ask.params, "account")
    post = await web.call("post.get", uri=uri, by=me.did) if uri else None
    named = await web.call("profile.get", account=account)
    return await _shown(
        web,
        ask,
        "reporting.html",
        post=post,
        account=named,
        categories=CATEGORIES,
        house=web.server.rules,
        most=COMMENT,
    )


@ENDPOINTS.post("/report")
@as_page
async def send(web: DoorContext, ask: DoorRequest) -> Response:
    """Reports."""
    me, uri = writing(web, ask), text(ask.params, "uri", "")
    rules = [rule for rule in texts(ask.params, "rules") if web.server.rules.rule(rule) is not None]
    category = text(ask.params, "category", "other")
    if category not in CATEGORIES:
        raise HttpRefusal(422, f"category is one of {', '.join(CATEGORIES)}.")
    await web.call(
        "report.add",
        account=uri.partition("/")[0] or text(ask.params, "account"),
        posts=[uri] if uri else [],
        comment=text(ask.params, "comment", ""),
        category=category,
        rules=rules if category == "violation" else [],
        forward=boolean(ask.params, "forward"),
        by=me.did,
    )
    return RedirectResponse("/reports", 303)


@ENDPOINTS.get("/reports")
@as_page
async def mine(web: DoorContext, ask: DoorRequest) -> Response:
    """What the visitor reported, and what came of it; what was decided about the visitor."""
    me = _somebody(web, ask)
    found = await web.call("report.mine", after=_after(ask), limit=A_PAGE, by=me.did)
    about = await web.call("decision.mine", limit=A_PAGE, by=me.did)
    return await _shown(web, ask, "reports.html", found=found, about=about["decisions"])


@ENDPOINTS.get("/rules")
@as_page
async def rules(web: DoorContext, ask: DoorRequest) -> Response:
    """The rules of this server, its terms and its privacy policy."""
    return await _shown(web, ask, "rules.html", house=web.server.rules)
