/** What each page of a node runs: times as the reader's clock has them, the check of all posts, and live events. */
import { checkPage, localTime } from './check.js';
import { follow } from './live.js';

for (const time of document.querySelectorAll('time')) time.textContent = localTime(Date.parse(time.dateTime));
const list = document.getElementById('live');
if (list) follow(list);
await checkPage();
