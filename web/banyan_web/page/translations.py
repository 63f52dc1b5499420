"""The texts of the pages, in Vietnamese and English. A page is in one language; what people wrote stays in theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from banyan_web.page.form_translations import DOING
from banyan_web.page.place_translations import PLACES

LANGUAGES: Final = ("en", "vi")
_ENGLISH_VIETNAMESE: Mapping[str, tuple[str, str]] = {
    "skip": ("Skip to the content", "Đến nội dung"),
    "menu": ("Pages", "Các trang"),
    "public": ("Public", "Công khai"),
    "public_title": ("What people say here", "Mọi người đang nói gì"),
    "home": ("Home", "Trang nhà"),
    "live": ("Live", "Trực tiếp"),
    "network": ("Network", "Mạng lưới"),
    "search": ("Search", "Tìm"),
    "about": ("About", "Giới thiệu"),
    "login": ("Log in", "Đăng nhập"),
    "logout": ("Log out", "Đăng xuất"),
    "profile": ("Profile", "Hồ sơ"),
    "notices": ("Notifications", "Thông báo"),
    "nothing": ("There is nothing here yet.", "Ở đây chưa có gì."),
    "older": ("Older posts", "Bài cũ hơn"),
    "more": ("More", "Xem thêm"),
    "posts": ("posts", "bài viết"),
    "posts_1": ("post", "bài viết"),
    "follows": ("following", "đang theo dõi"),
    "followers": ("followers", "người theo dõi"),
    "followers_1": ("follower", "người theo dõi"),
    "pinned": ("Pinned", "Đã ghim"),
    "official": ("Official: {title}, verified by {name}", "Chính thức: {title}, do {name} xác nhận"),
    "handle": ("confirmed by {name}", "được {name} xác nhận"),
    "handle_claimed": ("claimed, confirmed by nobody", "tự nhận, chưa ai xác nhận"),
    "moved": ("This account goes on as", "Tài khoản này nay là"),
    "nameless": ("No name yet", "Chưa có tên"),
    "posts_of": ("Posts of {name}", "Bài viết của {name}"),
    "edited": ("edited", "đã sửa"),
    "answers_to": ("answers {name}", "trả lời {name}"),
    "answers_post": ("answers a post", "trả lời một bài viết"),
    "reposted_by": ("shared by", "được chia sẻ bởi"),
    "in_group": ("in the group", "trong nhóm"),
    "warning": ("Content warning", "Cảnh báo nội dung"),
    "label": ("Moderators of this node say", "Điều hành viên của nút này lưu ý"),
    "report": ("Report", "Báo cáo"),
    "moderation": ("Moderation", "Điều hành"),
    "replies": ("replies", "trả lời"),
    "replies_1": ("reply", "trả lời"),
    "reposts": ("shares", "chia sẻ"),
    "quotes": ("quotes", "trích dẫn"),
    "quotes_1": ("quote", "trích dẫn"),
    "quotes_title": ("Quotes of a post", "Các bài trích một bài"),
    "reposts_1": ("share", "chia sẻ"),
    "reactions": ("reactions", "cảm xúc"),
    "poll_closed": ("closed", "đã đóng"),
    "poll_open": ("closes", "đóng lúc"),
    "votes": ("votes", "phiếu"),
    "votes_1": ("vote", "phiếu"),
    "voters": ("people voted", "người đã bỏ phiếu"),
    "voters_1": ("person voted", "người đã bỏ phiếu"),
    "vote": ("Vote", "Bỏ phiếu"),
    "conversation": ("Conversation", "Cuộc trò chuyện"),
    "conversation_of": ("{name}: a post and its conversation", "{name}: bài viết và cuộc trò chuyện"),
    "missing_above": ("A post above is not shown here:", "Một bài phía trên không được hiển thị ở đây:"),
    "gap": ("A post at this place is not shown here.", "Một bài ở chỗ này không được hiển thị ở đây."),
    "deleted": ("it was deleted by its author.", "tác giả đã xoá."),
    "withheld": ("it is withheld by an order:", "bài bị giữ lại theo lệnh:"),
    "unknown": ("it is not held here.", "nút này không có bài đó."),
    "hidden": ("it is hidden from you.", "bài bị ẩn đối với bạn."),
    "further": ("it stands further above.", "bài ở xa hơn phía trên."),
    "quoted_refused": ("Its author does not want it quoted here.", "Tác giả không muốn bài được trích ở đây."),
    "quoted_gone": ("The quoted post is not shown here.", "Bài được trích không được hiển thị ở đây."),
    "tag_title": ("Posts with #{tag}", "Bài viết có #{tag}"),
    "search_title": ("Search posts", "Tìm bài viết"),
    "search_for": ("Words, a name, #tag", "Từ, tên, #thẻ"),
    "search_help": (
        'All words must be there. "A phrase", begin*, -without, #tag, since:2026-01-31, lang:vi, has:media.',
        'Phải có đủ các từ. "Cả cụm", bắtđầu*, -trừ, #thẻ, since:2026-01-31, lang:vi, has:media.',
    ),
    "people": ("Accounts", "Tài khoản"),
    "group": ("Group", "Nhóm"),
    "members": ("members", "thành viên"),
    "members_1": ("member", "thành viên"),
    "rules": ("Rules", "Nội quy"),
    "open": ("open to all", "mở cho mọi người"),
    "request": ("by request", "cần xin vào"),
    "closed": ("by invitation", "chỉ khi được mời"),
    "channel": ("Channel", "Kênh"),
    "episodes": ("Episodes", "Các tập"),
    "subscribers": ("subscribers", "người đăng ký"),
    "subscribers_1": ("subscriber", "người đăng ký"),
    "season": ("season", "phần"),
    "chapters": ("Chapters", "Các chương"),
    "episode_gone": ("The post of this episode is not shown here.", "Bài của tập này không được hiển thị ở đây."),
    "media_elsewhere": ("Not held here yet", "Nút này chưa có tệp"),
    "film": ("Film", "Phim"),
    "sound": ("Sound", "Âm thanh"),
    "language": ("Language", "Ngôn ngữ"),
    "footer": (
        "A node of Banyan, one social graph that nobody owns.",
        "Một nút của Banyan, mạng xã hội không của riêng ai.",
    ),
    "error": ("This did not work", "Không thực hiện được"),
    "error_451": ("It is withheld here by an order.", "Nội dung bị giữ lại theo lệnh."),
    "error_404": ("Nothing is here, or this node does not hold it.", "Ở đây không có gì, hoặc nút này không giữ."),
    "error_422": ("This cannot be done so.", "Không làm như vậy được."),
    "error_401": ("Log in first.", "Hãy đăng nhập trước."),
    "error_403": (
        "This is not allowed. Load the page again and try once more.",
        "Không được phép. Hãy tải lại trang và thử lại.",
    ),
    "error_other": ("Try again in a moment.", "Hãy thử lại sau giây lát."),
    "node_says": ("What the node says", "Nút trả lời"),
    "about_what": (
        "This is a node of Banyan. Every account is a set of signed logs that any node can check and "
        "copy, so people, follows and posts belong to no platform.",
        "Đây là một nút của Banyan. Mỗi tài khoản là những nhật ký có chữ ký mà nút nào cũng kiểm tra và "
        "sao chép được, nên người dùng, lượt theo dõi và bài viết không thuộc về nền tảng nào.",
    ),
    "about_who": ("Who runs it", "Ai vận hành"),
    "about_account": ("Its account", "Tài khoản của nút"),
    "about_holds": ("What it holds", "Nút đang giữ"),
    "accounts": ("accounts", "tài khoản"),
    "accounts_1": ("account", "tài khoản"),
    "entries": ("signed entries", "mục có chữ ký"),
    "entries_1": ("signed entry", "mục có chữ ký"),
    "about_apps": ("Use an app", "Dùng ứng dụng"),
    "about_apps_how": (
        "Open an app for Mastodon that you have, and give it the address of this server:",
        "Mở một ứng dụng Mastodon bạn đang có, và nhập địa chỉ máy chủ này:",
    ),
    "about_check": ('What "verified" means', "“Đã kiểm chứng” nghĩa là gì"),
    "about_check_how": (
        "Your browser fetches the signed log of each author and checks it: signatures, hashes, and which "
        "keys may speak for the account. It then compares each post on the page with what was signed. It "
        "cannot know what a node keeps back, such as a newer edit; and the program that checks came from "
        "this node too. Counts are the node's word.",
        "Trình duyệt của bạn tải nhật ký có chữ ký của từng tác giả và tự kiểm tra: chữ ký, mã băm, và "
        "khoá nào được nói thay tài khoản. Rồi nó so từng bài trên trang với điều đã được ký. Nó không "
        "thể biết nút giấu điều gì, như một lần sửa mới hơn; và chương trình kiểm tra cũng đến từ nút "
        "này. Các con số là lời của nút.",
    ),
    "check_off": (
        "With JavaScript your browser checks the signatures of what is shown.",
        "Nếu bật JavaScript, trình duyệt sẽ tự kiểm tra chữ ký của những gì được hiển thị.",
    ),
    "live_title": ("Live from the network", "Trực tiếp từ mạng lưới"),
    "live_what": (
        "What arrives at this node appears here as it comes.",
        "Những gì đến nút này hiện ra ở đây ngay khi đến.",
    ),
    "live_off": (
        "This needs JavaScript. The public page shows what came.",
        "Cần JavaScript. Trang công khai có những bài đã đến.",
    ),
    "network_title": ("The network around this node", "Mạng lưới quanh nút này"),
    "network_none": ("This node is linked to no peer at the moment.", "Hiện nút này không nối với nút nào."),
    "network_picture": (
        "This node and the {count} peers to which it is linked",
        "Nút này và {count} nút đang nối với nó",
    ),
    "peer": ("Peer", "Nút"),
    "role": ("Role", "Vai trò"),
    "direction": ("Link", "Liên kết"),
    "inbound": ("it called us", "nút kia gọi đến"),
    "outbound": ("we called it", "nút này gọi đi"),
    "behind": ("Entries we lack", "Mục còn thiếu"),
    "since": ("Linked since", "Nối từ"),
    "not_compared": ("not compared yet", "chưa so sánh"),
    "role_platform": ("platform", "nền tảng"),
    "role_hobbyist": ("hobbyist", "cá nhân"),
    "role_researcher": ("researcher", "nghiên cứu"),
    "role_unknown": ("unknown", "không rõ"),
    "this_node": ("this node", "nút này"),
    "complete": ("This node has all that its peers have.", "Nút này có mọi thứ mà các nút kia có."),
    "incomplete": ("This node cannot say that it is complete.", "Nút này chưa thể nói là mình đủ."),
    "compose": ("Write", "Viết"),
    "compose_text": ("What do you want to say?", "Bạn muốn nói gì?"),
    "compose_more": ("Warning, language, time", "Cảnh báo, ngôn ngữ, thời gian"),
    "compose_warning": ("Content warning (optional)", "Cảnh báo nội dung (tuỳ chọn)"),
    "compose_file": ("File", "Tệp"),
    "compose_alt": ("What it shows, for those who do not see it", "Mô tả cho người không nhìn thấy"),
    "compose_option": ("Poll option", "Lựa chọn bình chọn"),
    "send": ("Post", "Đăng"),
    "reply": ("Reply", "Trả lời"),
    "favourite": ("Favourite", "Thích"),
    "boost": ("Share", "Chia sẻ"),
    "follow": ("Follow", "Theo dõi"),
    "unfollow": ("Unfollow", "Bỏ theo dõi"),
    "delete": ("Delete", "Xoá"),
    "unread": ("new", "mới"),
    "and_others": ("and {count} more", "và {count} người nữa"),
    "n_reply": ("answered you", "đã trả lời bạn"),
    "n_quote": ("quoted you", "đã trích bài của bạn"),
    "n_mention": ("mentioned you", "đã nhắc đến bạn"),
    "n_reaction": ("reacted to your post", "đã bày tỏ cảm xúc về bài của bạn"),
    "n_repost": ("shared your post", "đã chia sẻ bài của bạn"),
    "n_follow": ("follows you", "đã theo dõi bạn"),
    "n_follow_request": ("asks to follow you", "xin theo dõi bạn"),
    "n_follow_accept": ("accepted you as a follower", "đã chấp nhận bạn theo dõi"),
    "n_group_invite": ("invites you to a group", "mời bạn vào nhóm"),
    "n_group_accept": ("accepted you in a group", "đã nhận bạn vào nhóm"),
    "n_group_request": ("asks to join your group", "xin vào nhóm của bạn"),
    "n_event_invite": ("invites you to an event", "mời bạn đến sự kiện"),
    "n_move": ("goes on as another account", "đã chuyển sang tài khoản khác"),
    "n_urgent": ("urgent", "tin khẩn"),
    "n_episode": ("has a new episode", "có tập mới"),
    "n_poll_ended": ("a poll has ended", "một bình chọn đã kết thúc"),
}
_EVERY = {**_ENGLISH_VIETNAMESE, **DOING, **PLACES}
WORDS: Mapping[str, Mapping[str, str]] = {
    lang: {key: both[n] for key, both in _EVERY.items()} for n, lang in enumerate(LANGUAGES)
}
"""By language and key."""


def counted(words: Mapping[str, str], count: int, key: str) -> str:
    """A number and what it counts: `1 reply`, `2 replies`."""
    one = words.get(f"{key}_1")
    return f"{count} {one if count == 1 and one else words[key]}"


_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([0-9.]{1,5}))?\s*")


def language_of(accepted: str) -> str:
    """The language that an Accept-Language header likes best among ours."""
    best, liked = "en", 0.0
    for part in accepted[:400].split(","):
        found = _RANGE.fullmatch(part)
        if found is None or found[1].lower() not in LANGUAGES:
            continue
        try:
            quality = 1.0 if found[2] is None else float(found[2])
        except ValueError:
            continue
        if quality > liked:
            best, liked = found[1].lower(), quality
    return best
