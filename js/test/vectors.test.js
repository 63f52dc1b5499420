import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { checks, elsewhere } from './checks.js';
import { same } from './support.js';

for (const [name, check] of Object.entries(checks)) test(`tests/vectors/${name}.json`, check);
for (const [name, why] of Object.entries(elsewhere)) test(`tests/vectors/${name}.json`, { skip: why }, () => {});

test('each file of vectors is checked, or named with the reason why not', async () => {
  const files = await readdir(new URL('../../tests/vectors/', import.meta.url));
  const named = [...Object.keys(checks), ...Object.keys(elsewhere)].map((name) => `${name}.json`);
  same(files.filter((file) => file.endsWith('.json')).sort(), named.sort(), 'files');
});
