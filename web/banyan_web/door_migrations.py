"""The tables of `door.db`, as the steps that lead to them.

Step n makes a file of version n (`PRAGMA user_version`) one of version n + 1, in one transaction, so a process that is
killed leaves a version or the next. A new file is of version 0. Steps are added at the end; one that was released stays
as it is.
"""

_FIRST = """
create table if not exists tokens (
    hash blob primary key, id text not null unique, account text, app text not null, scopes text not null,
    created integer not null, expires integer, client text, code blob
) without rowid;
create index if not exists tokens_account on tokens (account, created);
create index if not exists tokens_code on tokens (code) where code is not null;
create table if not exists apps (
    number integer primary key autoincrement, client text not null unique, secret blob not null, name text not null,
    website text, redirects text not null, scopes text not null, created integer not null, used integer
);
create index if not exists apps_unused on apps (number) where used is null;
create table if not exists codes (
    hash blob primary key, client text not null, account text not null, redirect text not null, scopes text not null,
    challenge text, expires integer not null
) without rowid;
create table if not exists logins (
    account text primary key, name text not null unique, password text not null, created integer not null
) without rowid;
create table if not exists links (
    hash blob primary key, account text not null, name text not null, expires integer not null
) without rowid;
create table if not exists sessions (
    hash blob primary key, account text not null, name text not null, expires integer not null
) without rowid;
create table if not exists defaults (
    account text primary key, privacy text not null, sensitive integer not null, language text
) without rowid;
create table if not exists writings (
    account text not null, key text not null, once text not null, created integer not null, answer text,
    primary key (account, key)
) without rowid;
create table if not exists uploads (
    id text primary key, account text not null, created integer not null, description text, focus_x real not null,
    focus_y real not null, kind text not null, made text, failed text
) without rowid;
create table if not exists reading (
    upload text primary key references uploads (id) on delete cascade, until integer not null
) without rowid;
create table if not exists posted (
    upload text primary key references uploads (id) on delete cascade, posts integer not null
) without rowid;
create table if not exists sealed (
    name blob primary key, said blob not null, kept integer not null, text blob not null
) without rowid;
create index if not exists sealed_by_age on sealed (kept);
create table if not exists sealed_of (
    about text not null, name blob not null references sealed (name) on delete cascade, primary key (about, name)
) without rowid;
create index if not exists sealed_of_name on sealed_of (name);
create table if not exists webhooks (
    id text primary key, owner text not null, url text not null, secret text not null, filters text not null,
    created integer not null, state text not null, cursor text, error text, failing integer, tried integer,
    delivered integer
) without rowid;
create table if not exists push_subscriptions (
    id integer primary key autoincrement, token text not null unique references tokens (id) on delete cascade,
    account text not null, endpoint text not null, p256dh blob not null, auth blob not null, standard integer not null,
    alerts text not null, policy text not null, sealed blob not null, heard text not null, created integer not null,
    failing integer, error text
);
create index if not exists push_by_account on push_subscriptions (account);
create table if not exists cards (
    url text not null primary key, said text, picture text, kind text, raw blob, kept integer not null
);
create index if not exists cards_by_picture on cards (picture) where picture is not null;
create index if not exists cards_by_age on cards (kept);
create table if not exists consumers (
    owner text not null, name text not null, cursor text not null, updated integer not null,
    primary key (owner, name)
) without rowid;
"""
_UPLOADS_IN_ONE_TABLE = """
alter table uploads add column read_until integer;
alter table uploads add column posts integer not null default 0;
update uploads set
    read_until = (select until from reading where upload = id),
    posts = coalesce((select posts from posted where upload = id), 0);
drop table reading;
drop table posted
"""
_KEYS_AT_THE_NODE = """
drop table writings;
drop table sealed_of;
drop table sealed
"""
MIGRATIONS = (_FIRST, _FIRST + _UPLOADS_IN_ONE_TABLE, _KEYS_AT_THE_NODE)
"""SQL. Files of version 1 have those of the first tables that there were when they were last opened."""
