// Key through the npm SDK: keys, what they encrypt, and the keys of GitHub. BEHAVIOUR section 11.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { grn, pages, refused, suite, unique } = require('./support');

const NO_KEY = 'key.key.key.error.notFound';

suite((t) => {
  const key = (operation, fields) => t.call('key', operation, fields);

  test('namespace: create, get, update, status, describe, delete (N-04, N-12 to N-14)', async () => {
    const name = unique('ns');
    t.undo('key', 'deleteNamespace', { namespaceName: name });
    const { item } = await key('createNamespace', { name, description: 'あ𠮷' });
    assert.equal(item.namespaceId, grn('key', name));
    assert.deepEqual((await key('getNamespace', { namespaceName: name })).item, item);
    assert.equal((await key('getNamespaceStatus', { namespaceName: name })).status, 'ACTIVE');
    const updated = (await key('updateNamespace', { namespaceName: name })).item;
    const { items } = await pages((fields) => key('describeNamespaces', fields), {}, 1000);
    assert.deepEqual(items.filter((listed) => listed.name === name), [updated]);
    assert.equal((await key('deleteNamespace', { namespaceName: name })).item.name, name);
  });

  test('key: create, get, update, describe, encrypt, decrypt, delete (K-01, K-02, K-04)', async () => {
    const namespaceName = await t.namespace('key');
    const { item } = await key('createKey', { namespaceName, name: 'a', description: 'text' });
    assert.equal(item.keyId, grn('key', namespaceName, 'key', 'a'));
    assert.deepEqual((await key('getKey', { namespaceName, keyName: 'a' })).item, item);
    const { data } = await key('encrypt', { namespaceName, keyName: 'a', data: 'あ𠮷' });
    assert.equal((await key('updateKey', { namespaceName, keyName: 'a' })).item.revision, 2);
    assert.equal((await key('decrypt', { namespaceName, keyName: 'a', data })).data, 'あ𠮷');
    await key('createKey', { namespaceName, name: 'b' });
    await refused(() => key('decrypt', { namespaceName, keyName: 'b', data }), 'key.key.data.error.invalid');
    const { items, sizes } = await pages((fields) => key('describeKeys', fields), { namespaceName }, 1);
    assert.deepEqual(items.map((listed) => listed.name), ['a', 'b']);
    assert.deepEqual(sizes, [1, 1]);
    assert.equal((await key('deleteKey', { namespaceName, keyName: 'a' })).item.name, 'a');
    await refused(() => key('decrypt', { namespaceName, keyName: 'a', data }), NO_KEY);
  });

  test('gitHubApiKey: create, get, update, describe, delete, and no key in an answer (K-03)', async () => {
    const namespaceName = await t.namespace('key');
    const given = { namespaceName, apiKey: 'token', encryptionKeyName: 'a' };
    await refused(() => key('createGitHubApiKey', { ...given, name: 'hub' }), NO_KEY);
    await key('createKey', { namespaceName, name: 'a' });
    const { item } = await key('createGitHubApiKey', { ...given, name: 'hub' });
    assert.equal(item.apiKeyId, grn('key', namespaceName, 'github', 'hub'));
    assert.equal(item.encryptionKeyName, 'a');
    const updated = (await key('updateGitHubApiKey', { ...given, apiKeyName: 'hub', description: 'text' })).item;
    assert.deepEqual((await key('getGitHubApiKey', { namespaceName, apiKeyName: 'hub' })).item, updated);
    const { items } = await pages((fields) => key('describeGitHubApiKeys', fields), { namespaceName }, 1);
    assert.deepEqual(items, [updated]);
    assert.ok(!JSON.stringify([item, updated, items]).includes('token'));
    assert.equal((await key('deleteGitHubApiKey', { namespaceName, apiKeyName: 'hub' })).item.name, 'hub');
    await refused(() => key('getGitHubApiKey', { namespaceName, apiKeyName: 'hub' }),
      'key.gitHubApiKey.gitHubApiKey.error.notFound');
  });
});
