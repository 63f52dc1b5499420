"""The texts of the pages of moderation, in Vietnamese and English."""

from __future__ import annotations

from collections.abc import Mapping

from banyan_web.page.words import LANGUAGES

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
