"""What the pages for logging in say, in English and Vietnamese."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "log_in": "Log in",
        "name": "Name",
        "password": "Password",
        "wrong": "This name and password do not fit. Whoever runs this node sets passwords: `banyan login set NAME`.",
        "closed": "This account is closed, and nobody logs in as it. Only its recovery key undoes that.",
        "too_many": "Too many attempts. Try again in a quarter of an hour.",
        "busy": "Too many people log in at this moment. Try again in a few seconds.",
        "logged_in": "You are logged in as {name}.",
        "log_out": "Log out",
        "other": "Use another account",
        "apps": "Apps and programs that may act for you:",
        "revoke": "Take that back",
        "old": "Old password",
        "new": "New password, of at least {least} characters",
        "change": "Change the password",
        "short": "A password has at least {least} characters, and at most {most} bytes.",
        "link_gone": "This link was used, or is older than 15 minutes. Ask for another one.",
        "link_for": "This link logs you in as {name}, once.",
        "allow_title": "Allow {app}?",
        "allow_text": "{app} wants to use your account {name}. It may then:",
        "allow": "Allow",
        "refuse": "Refuse",
        "sent_to": "You are then sent to {host}.",
        "code_title": "Your code",
        "code_text": "Copy this code into the app. It works once, within ten minutes.",
        "refused": "You refused. Nothing was given to the app.",
        "broken": "This request of an app is broken",
        "read": "read: posts, lists, notifications and all else that you see",
        "write": "write: post, change and delete in your name",
        "follow": "follow, block and mute in your name",
        "push": "receive your notifications",
        "profile": "see who you are",
        "some": "{verb}: only {part}",
    },
    "vi": {
        "log_in": "Đăng nhập",
        "name": "Tên",
        "password": "Mật khẩu",
        "wrong": "Tên và mật khẩu không khớp. Người vận hành nút đặt mật khẩu bằng `banyan login set TÊN`.",
        "closed": "Tài khoản này đã đóng nên không ai đăng nhập được. Chỉ khóa khôi phục của nó hoàn tác được việc đó.",
        "too_many": "Bạn thử quá nhiều lần. Hãy thử lại sau 15 phút.",
        "busy": "Lúc này có quá nhiều người đăng nhập. Hãy thử lại sau vài giây.",
        "logged_in": "Bạn đã đăng nhập với tên {name}.",
        "log_out": "Đăng xuất",
        "other": "Dùng tài khoản khác",
        "apps": "Ứng dụng và chương trình được phép thay mặt bạn:",
        "revoke": "Thu hồi",
        "old": "Mật khẩu cũ",
        "new": "Mật khẩu mới, ít nhất {least} ký tự",
        "change": "Đổi mật khẩu",
        "short": "Mật khẩu có ít nhất {least} ký tự và nhiều nhất {most} byte.",
        "link_gone": "Liên kết này đã được dùng hoặc đã quá 15 phút. Hãy xin liên kết khác.",
        "link_for": "Liên kết này đăng nhập cho bạn với tên {name}, một lần duy nhất.",
        "allow_title": "Cho phép {app}?",
        "allow_text": "{app} muốn dùng tài khoản {name} của bạn. Ứng dụng sẽ được phép:",
        "allow": "Cho phép",
        "refuse": "Từ chối",
        "sent_to": "Sau đó bạn được chuyển đến {host}.",
        "code_title": "Mã của bạn",
        "code_text": "Hãy chép mã này vào ứng dụng. Mã dùng được một lần, trong vòng mười phút.",
        "refused": "Bạn đã từ chối. Ứng dụng không nhận được gì.",
        "broken": "Yêu cầu này của ứng dụng bị lỗi",
        "read": "đọc: bài viết, danh sách, thông báo và mọi thứ bạn xem được",
        "write": "viết: đăng, sửa và xoá thay bạn",
        "follow": "theo dõi, chặn và ẩn thay bạn",
        "push": "nhận thông báo của bạn",
        "profile": "biết bạn là ai",
        "some": "{verb}: chỉ {part}",
    },
}
_VERBS = {"en": {"read": "read", "write": "write"}, "vi": {"read": "đọc", "write": "viết"}}


def language(request: Request, params: dict[str, Any]) -> str:
    """`lang` of the request, else the first that the browser prefers and that there is."""
    asked = params.get("lang")
    first = [asked] if isinstance(asked, str) else []
    for word in [*first, *re.split(r"[,;]", request.headers.get("accept-language", "")[:200])]:
        short = word.strip().lower()[:2]
        if short in WORDS:
            return short
    return "en"


def scope_words(lang: str, scope: str) -> str:
    """What a scope allows, for the person who is asked."""
    top, _, part = scope.partition(":")
    said = WORDS[lang]
    return said["some"].format(verb=_VERBS[lang][top], part=part) if part else said[scope]
