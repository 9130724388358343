// Script through the npm SDK: stored scripts, and what runs. BEHAVIOUR section 9.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { grn, gs2, pages, refused, suite, unique } = require('./support');

const NO_NAMESPACE = 'script.namespace.namespace.error.notFound';
const NO_SCRIPT = 'script.script.script.error.notFound';
const ECHO = 'result = args';
const { GitHubCheckoutSetting, LogSetting, RandomStatus, RandomUsed } = gs2.script.model;

suite((t) => {
  const script = (operation, fields) => t.call('script', operation, fields);

  test('namespace: create, get, update, status, describe, delete (N-04, N-12 to N-14)', async () => {
    const name = unique('ns');
    t.undo('script', 'deleteNamespace', { namespaceName: name });
    const logSetting = new LogSetting().withLoggingNamespaceId(grn('log', 'default'));
    const { item } = await script('createNamespace', { name, description: 'あ𠮷', logSetting });
    assert.equal(item.namespaceId, grn('script', name));
    assert.equal(item.description, 'あ𠮷');
    assert.equal(item.logSetting.loggingNamespaceId, grn('log', 'default'));
    await refused(() => script('createNamespace', { name }), 'script.namespace.name.error.exists');
    assert.deepEqual((await script('getNamespace', { namespaceName: name })).item, item);
    assert.equal((await script('getNamespaceStatus', { namespaceName: name })).status, 'ACTIVE');
    const updated = (await script('updateNamespace', { namespaceName: name })).item;
    assert.equal(updated.description ?? '', '');
    const { items } = await pages((fields) => script('describeNamespaces', fields), {}, 1000);
    assert.deepEqual(items.filter((listed) => listed.name === name), [updated]);
    assert.equal((await script('deleteNamespace', { namespaceName: name })).item.name, name);
    await refused(() => script('getNamespace', { namespaceName: name }), NO_NAMESPACE);
  });

  test('script: create, get, update, describe, delete (N-09, N-13, SC-01, SC-02)', async () => {
    const namespaceName = await t.namespace('script');
    const source = '-- あ𠮷\r\nresult = {a = "\\n"}';
    const { item } = await script('createScript',
      { namespaceName, name: 'b', script: source, description: 'text', disableStringNumberToNumber: true });
    assert.equal(item.scriptId, grn('script', namespaceName, 'script', 'b'));
    assert.equal(item.script, source);
    if (t.transport === 'websocket') {
      // The SDK's model does not have it.
      assert.equal(item.disableStringNumberToNumber, true);
    }
    await refused(() => script('createScript', { namespaceName, name: 'b', script: ECHO }),
      'script.script.name.error.exists');
    assert.deepEqual((await script('getScript', { namespaceName, scriptName: 'b' })).item, item);
    for (const name of ['a', 'c']) await script('createScript', { namespaceName, name, script: ECHO });
    const listed = await pages((fields) => script('describeScripts', { namespaceName, ...fields }), {}, 2);
    assert.deepEqual(listed.items.map((one) => one.name), ['a', 'b', 'c']);
    const updated = (await script('updateScript', { namespaceName, scriptName: 'b', script: ECHO })).item;
    assert.equal(updated.script, ECHO);
    assert.equal(updated.description ?? '', '');
    assert.equal(updated.createdAt, item.createdAt);
    assert.deepEqual((await script('deleteScript', { namespaceName, scriptName: 'b' })).item, updated);
    for (const [operation, fields] of [['getScript', {}], ['updateScript', { script: ECHO }], ['deleteScript', {}]]) {
      await refused(() => script(operation, { namespaceName, scriptName: 'b', ...fields }), NO_SCRIPT);
    }
  });

  test('script: refusals (E-04, E-08, E-09, SC-01)', async () => {
    const namespaceName = await t.namespace('script');
    const create = (fields) => script('createScript', { namespaceName, name: 'a', script: ECHO, ...fields });
    await refused(() => create({ script: '' }), 'script.script.script.error.require');
    await refused(() => create({ name: 'あ' }), 'script.script.name.error.invalid');
    await refused(() => create({ description: 'd'.repeat(1025) }), 'script.script.description.error.tooLong');
    await refused(() => create({ namespaceName: unique('absent') }), NO_NAMESPACE);
  });

  test('fetching from GitHub needs a kept key (SC-01, K-03)', async () => {
    const namespaceName = await t.namespace('script');
    await script('createScript', { namespaceName, name: 'b', script: ECHO });
    const checkoutSetting = new GitHubCheckoutSetting().withApiKeyId(grn('key', 'absent', 'github', 'absent'))
      .withRepositoryName('owner/name').withSourcePath('a.lua').withReferenceType('branch').withBranchName('main');
    const calls = { createScriptFromGitHub: { name: 'a' }, updateScriptFromGitHub: { scriptName: 'b' } };
    for (const [operation, fields] of Object.entries(calls)) {
      await refused(() => script(operation, { namespaceName, checkoutSetting, ...fields }),
        'script.gitHubCheckoutSetting.apiKeyId.error.notFound');
    }
  });

  test('invokeScript: result, output and time (SC-03, SC-04, SC-10, SC-16)', async () => {
    const store = await t.scripts();
    const scriptId = await store('print("a", 1) result = {sum = args.a + args.b}');
    const ran = await script('invokeScript', { scriptId, args: '{"a": 1, "b": "2"}' });
    assert.equal(ran.code, 200);
    assert.equal(ran.result, '{"sum":3}');
    assert.deepEqual(ran.output, ['a\t1']);
    assert.ok(ran.executeTime >= 0 && ran.charged >= 0);
    await refused(() => script('invokeScript', { scriptId: `${scriptId}-x` }), NO_SCRIPT);
    await refused(() => script('invokeScript', { scriptId, args: '[]' }), 'script.script.args.error.invalid');
  });

  test('debugInvoke: failures are answers (SC-05, SC-06, SC-11)', async () => {
    for (const [source, code] of [['result = ', 400], ['fail(409, "no luck")', 409], ['nothing()', 500], [ECHO, 200]]) {
      const ran = await script('debugInvoke', { script: source });
      assert.equal(ran.code, code);
      const result = JSON.parse(ran.result);
      if (code === 200) assert.deepEqual(result, {});
      else assert.ok(result.every((error) => error.component && typeof error.message === 'string'));
    }
  });

  test('scripts call services for the invoking user (SC-12, SC-13, SC-22)', async () => {
    const namespaceName = await t.namespace();
    const userId = unique('user');
    const store = await t.scripts();
    const scriptId = await store(`
      local held = gs2('lock').lock({namespaceName = args.n, propertyId = 'p', transactionId = 't'})
      local again = gs2('lock').unlock_by_user_id_async({namespaceName = args.n, userId = 'nobody', propertyId = 'p',
        transactionId = 't'})()
      result = {user = held.result.item.userId, error = again.isError, status = again.statusCode}
    `);
    const ran = await script('invokeScript', { scriptId, userId, args: JSON.stringify({ n: namespaceName }) });
    assert.deepEqual(JSON.parse(ran.result), { user: userId, error: true, status: 404 });
    const held = await t.call('lock', 'getMutexByUserId', { namespaceName, userId, propertyId: 'p' });
    assert.equal(held.item.transactionId, 't');
  });

  test('random numbers are repeatable and go on (SC-18)', async () => {
    const source = 'result = {random(1), random(2)}';
    const randomStatus = () => new RandomStatus().withSeed(5).withUsed([new RandomUsed().withCategory(1).withUsed(1)]);
    const first = await script('debugInvoke', { script: source, randomStatus: randomStatus() });
    const again = await script('debugInvoke', { script: source, randomStatus: randomStatus() });
    assert.equal(again.result, first.result);
    assert.deepEqual(first.randomStatus,
      { seed: 5, used: [{ category: 1, used: 2 }, { category: 2, used: 1 }] });
  });
});
