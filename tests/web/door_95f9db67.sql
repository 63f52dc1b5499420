-- What a door.db of commit 95f9db67 has in it, with a clock of the year 2100, so that no term in it ends.
BEGIN TRANSACTION;
CREATE TABLE apps (
    number integer primary key autoincrement, client text not null unique, secret blob not null, name text not null,
    website text, redirects text not null, scopes text not null, created integer not null, used integer
);
INSERT INTO apps VALUES(1,'secret-5',X'72F908876221BCF204A26CE7E81A47F3C40C090205978EBC238CF75CAC9BBD3B','Tuba','https://tuba','https://tuba/cb','read push',4102444800,4102444800);
CREATE INDEX apps_unused on apps (number) where used is null;
CREATE TABLE cards (
    url text not null primary key, said text, picture text, kind text, raw blob, kept integer not null
);
INSERT INTO cards VALUES('https://example.org/','{"title":"Một trang"}','0f4636c78f65d3639ece5a064b5ae753','image/png',X'89504E47',4102444800);
CREATE INDEX cards_by_age on cards (kept);
CREATE INDEX cards_by_picture on cards (picture) where picture is not null;
CREATE TABLE codes (
    hash blob primary key, client text not null, account text not null, redirect text not null, scopes text not null,
    challenge text, expires integer not null
) without rowid;
INSERT INTO codes VALUES(X'A86DCD47B2F30347AF79C2FE6E6C416651A91709A6ABC02E88005098E7176F82','secret-5','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','https://tuba/cb','read',NULL,4102445400);
CREATE TABLE consumers (
    owner text not null, name text not null, cursor text not null, updated integer not null,
    primary key (owner, name)
) without rowid;
INSERT INTO consumers VALUES('did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','reader','b1.00000000000000000000000000000000.7',4102444800);
CREATE TABLE defaults (
    account text primary key, privacy text not null, sensitive integer not null, language text
) without rowid;
INSERT INTO defaults VALUES('did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','unlisted',1,'vi');
CREATE TABLE links (
    hash blob primary key, account text not null, name text not null, expires integer not null
) without rowid;
INSERT INTO links VALUES(X'BE95AB2EA8ED34ECB81C3A154B845571BDEEEA971121E8A082CEE868026B3DB5','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','An',4102445700);
CREATE TABLE logins (
    account text primary key, name text not null unique, password text not null, created integer not null
) without rowid;
INSERT INTO logins VALUES('did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','An','$argon2id$v=19$m=65536,t=2,p=1$666no8BCG3SgQWpSmJipVw$8MF3TU8RltvgUDK9c0GW1I6jjinX8VWetBARd6BrGgM',4102444800);
CREATE TABLE posted (
    upload text primary key references uploads (id) on delete cascade, posts integer not null
) without rowid;
INSERT INTO posted VALUES('41024448000000000000000000000000000000000000000003',2);
INSERT INTO posted VALUES('41024448000000000000000000000000000000000000000004',0);
CREATE TABLE push_subscriptions (
    id integer primary key autoincrement, token text not null unique references tokens (id) on delete cascade,
    account text not null, endpoint text not null, p256dh blob not null, auth blob not null, standard integer not null,
    alerts text not null, policy text not null, sealed blob not null, heard text not null, created integer not null,
    failing integer, error text
);
INSERT INTO push_subscriptions VALUES(1,'0000000000000009','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','https://push.example/1',X'7070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070',X'61616161616161616161616161616161',1,'{"mention":true}','all',X'7365616C656420746F6B656E','',4102444800,NULL,NULL);
CREATE INDEX push_by_account on push_subscriptions (account);
CREATE TABLE reading (
    upload text primary key references uploads (id) on delete cascade, until integer not null
) without rowid;
INSERT INTO reading VALUES('41024448000000000000000000000000000000000000000001',4102444845);
CREATE TABLE sealed (
    name blob primary key, said blob not null, kept integer not null, text blob not null
) without rowid;
INSERT INTO sealed VALUES(X'2896E79D4EC8459796DA2E6B961BE8F7FC1394272EEE00C5E71BAC90A010915C',X'5438BFB58C030C3B44F6014EDD7297B89036C26434736A300F27DB3A178EA2C2',4102444800,X'B6D7D7541882251483EC626A77591CE797E2A475E99600A961702815C918B707C4EAC370C49DD56081B754D7EC99B6F63C7D8894F49C38603F');
CREATE INDEX sealed_by_age on sealed (kept);
CREATE TABLE sessions (
    hash blob primary key, account text not null, name text not null, expires integer not null
) without rowid;
INSERT INTO sessions VALUES(X'4B2DC56F4F1646338443B85507B93D34F4920C935235D5E04B19F137E9E66ADB','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','An',4105036800);
CREATE TABLE tokens (
    hash blob primary key, id text not null unique, account text, app text not null, scopes text not null,
    created integer not null, expires integer, client text, code blob
) without rowid;
INSERT INTO tokens VALUES(X'2C7D3470D617514EDE9F8B07E2912811351E6EFE42CDC07B661A790B6659D486','0000000000000004',NULL,'lotus','host write',4102444800,4102531200,NULL,NULL);
INSERT INTO tokens VALUES(X'699021CD1B3FB91BDB7361649B9A6CB965206B23B202CDCE087E29C57AE6F565','0000000000000009','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','Tuba','read push',4102444800,NULL,'secret-5',X'214A3AA0E5D5069F5F6C64F88DA6461E601D803F7B3098F57C4FD5C4BF1EE3AD');
INSERT INTO tokens VALUES(X'F7E7C36E458E80E6B6A2C67D0A9EC09BD718DADD7BFA8D6BF6E7AD526E46C2F7','0000000000000002','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','banyan login','read write',4102444800,NULL,NULL,NULL);
CREATE INDEX tokens_account on tokens (account, created);
CREATE INDEX tokens_code on tokens (code) where code is not null;
CREATE TABLE uploads (
    id text primary key, account text not null, created integer not null, description text, focus_x real not null,
    focus_y real not null, kind text not null, made text, failed text
) without rowid;
INSERT INTO uploads VALUES('41024448000000000000000000000000000000000000000001','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH',4102444800,NULL,0.5,-0.25,'image/png',NULL,NULL);
INSERT INTO uploads VALUES('41024448000000000000000000000000000000000000000002','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH',4102444800,'hoa sen',0.5,-0.25,'image/png','{"blob":"abababababababababababababababababababababababababababababababab","preview":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","type":"image/png"}',NULL);
INSERT INTO uploads VALUES('41024448000000000000000000000000000000000000000003','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH',4102444800,NULL,0.5,-0.25,'image/png','{"blob":"abababababababababababababababababababababababababababababababab","preview":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","type":"image/png"}',NULL);
INSERT INTO uploads VALUES('41024448000000000000000000000000000000000000000004','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH',4102444800,NULL,0.5,-0.25,'image/png','{"blob":"abababababababababababababababababababababababababababababababab","preview":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","type":"image/png"}',NULL);
INSERT INTO uploads VALUES('41024448000000000000000000000000000000000000000005','did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH',4102444800,NULL,0.5,-0.25,'image/png',NULL,'It is no picture.');
CREATE TABLE webhooks (
    id text primary key, owner text not null, url text not null, secret text not null, filters text not null,
    created integer not null, state text not null, cursor text, error text, failing integer, tried integer,
    delivered integer
) without rowid;
INSERT INTO webhooks VALUES('00aa',' lotus','https://lotus/hook','whsec','{"accounts": [], "events": ["create"], "collections": []}',4102444800,'active','cursor1',NULL,NULL,NULL,NULL);
CREATE TABLE writings (
    account text not null, key text not null, once text not null, created integer not null, answer text,
    primary key (account, key)
) without rowid;
INSERT INTO writings VALUES('did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','a','0000000000000000000000000000000d',4102444800,'did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH/0102');
INSERT INTO writings VALUES('did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH','b','0000000000000000000000000000000e',4102444800,NULL);
INSERT INTO main.sqlite_sequence VALUES ('apps', 1);
INSERT INTO main.sqlite_sequence VALUES ('push_subscriptions', 1);
pragma user_version=1;
COMMIT TRANSACTION;
