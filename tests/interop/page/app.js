// A web app of another origin than the node, as small as one can be: what it says to the node, the masto library says.

import { createOAuthAPIClient, createRestAPIClient, createStreamingAPIClient } from "masto";

const SCOPES = "read write follow";
const BACK = location.origin + "/";
const at = (id) => document.getElementById(id);
const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
let kept = JSON.parse(localStorage.getItem("kept") ?? "null");

const keep = (value) => {
  kept = value;
  localStorage.setItem("kept", JSON.stringify(value));
};

async function begin(server) {
  const rest = createRestAPIClient({ url: server });
  const app = await rest.v1.apps.create({ clientName: "A small web app", redirectUris: [BACK], scopes: SCOPES });
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(40)));
  const challenge = base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  keep({ server, clientId: app.clientId, clientSecret: app.clientSecret, verifier });
  location.href = `${server}/oauth/authorize?${new URLSearchParams({
    response_type: "code", client_id: app.clientId, redirect_uri: BACK, scope: SCOPES, state: "kept",
    code_challenge: challenge, code_challenge_method: "S256",
  })}`;
}

async function end(code) {
  const { server: url, clientId, clientSecret, verifier } = kept;
  const token = await createOAuthAPIClient({ url }).token.create({
    grantType: "authorization_code", clientId, clientSecret, code, redirectUri: BACK, codeVerifier: verifier,
  });
  keep({ ...kept, accessToken: token.accessToken });
  history.replaceState(null, "", "/");
}

function article(status, rest) {
  const shown = document.createElement("article");
  shown.dataset.id = status.id;
  const text = document.createElement("p");
  text.textContent = new DOMParser().parseFromString(status.content, "text/html").body.textContent;
  const by = document.createElement("b");
  by.textContent = status.account.displayName;
  const marked = document.createElement("button");
  marked.className = "favourite";
  marked.textContent = `♡ ${status.favouritesCount}`;
  marked.onclick = async () => {
    const now = await rest.v1.statuses.$select(status.id).favourite();
    marked.textContent = `♥ ${now.favouritesCount}`;
  };
  const open = document.createElement("button");
  open.className = "open";
  open.textContent = "Thread";
  open.onclick = async () => {
    const { ancestors, descendants } = await rest.v1.statuses.$select(status.id).context.fetch();
    at("thread").replaceChildren(...[...ancestors, status, ...descendants].map((one) => article(one, rest)));
    at("thread").dataset.of = status.id;
  };
  shown.append(by, text, marked, open);
  for (const one of status.mediaAttachments) {
    const picture = document.createElement("img");
    picture.crossOrigin = "anonymous"; // its bytes may be read, as an app that draws it does
    picture.src = one.url;
    picture.alt = one.description ?? "";
    shown.append(picture);
  }
  return shown;
}

async function live(rest) {
  const instance = await rest.v2.instance.fetch();
  const { accessToken } = kept;
  const streaming = createStreamingAPIClient({ streamingApiUrl: instance.configuration.urls.streaming, accessToken });
  const heard = new EventSource(`${kept.server}/api/v1/streaming/public?access_token=${accessToken}`);
  heard.addEventListener("update", ({ data }) => at("public").append(article(toCamel(JSON.parse(data)), rest)));
  const user = streaming.user.subscribe();
  heard.onopen = () => (at("state").textContent = "Listening");
  for await (const { event, payload } of user) {
    if (event === "delete") document.querySelectorAll(`[data-id="${payload}"]`).forEach((one) => one.remove());
    if (event === "notification" && payload.status?.inReplyToId === at("thread").dataset.of)
      at("thread").append(article(payload.status, rest));
    if (event === "update") at("home").prepend(article(payload, rest));
  }
}

const toCamel = ({ id, content, account, favourites_count: favouritesCount }) => ({
  id, content, favouritesCount, account: { displayName: account.display_name }, mediaAttachments: [],
});

async function run() {
  const code = new URLSearchParams(location.search).get("code");
  if (code !== null) await end(code);
  if (!kept?.accessToken) {
    at("login").hidden = false;
    at("login").onsubmit = (event) => {
      event.preventDefault();
      begin(event.target.server.value).catch(broken);
    };
    at("state").textContent = "Nobody";
    return;
  }
  const rest = createRestAPIClient({ url: kept.server, accessToken: kept.accessToken });
  at("name").textContent = (await rest.v1.accounts.verifyCredentials()).displayName;
  at("home").replaceChildren(...(await rest.v1.timelines.home.list({ limit: 40 })).map((one) => article(one, rest)));
  document.querySelector("main").hidden = false;
  at("compose").onsubmit = async (event) => {
    event.preventDefault();
    const { text, picture } = event.target;
    const mediaIds = [];
    for (const file of picture.files) mediaIds.push((await rest.v2.media.create({ file, description: "A picture" })).id);
    await rest.v1.statuses.create({ status: text.value, mediaIds, visibility: "public" }).catch(broken);
  };
  at("logout").onclick = async () => {
    const { server: url, clientId, clientSecret, accessToken: token } = kept;
    await createOAuthAPIClient({ url }).revoke({ clientId, clientSecret, token });
    const late = await rest.v1.accounts.verifyCredentials().catch((error) => error.message);
    keep(null);
    at("state").textContent = `Logged out: ${late}`;
  };
  live(rest).catch(broken);
}

const broken = (error) => (at("state").textContent = `Broken: ${error.message}`);
run().catch(broken);
