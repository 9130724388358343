// JobQueue through the npm SDK, which still knows dead letters. BEHAVIOUR section 5.
'use strict';

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const { after, test } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const { connect, grn, gs2, pages, refused, suite, unique } = require('./support');

const NO_NAMESPACE = 'jobQueue.namespace.namespace.error.notFound';
const NO_JOB = 'jobQueue.job.job.error.notFound';
const NO_RESULT = 'jobQueue.jobResult.jobResult.error.notFound';
const NO_DEAD_LETTER = 'jobQueue.deadLetterJob.deadLetterJob.error.notFound';
const ECHO = 'result = args';
const FAIL = "if args.status then fail(args.status, 'failed') end result = {ok = true}";
const DEADLINE_MS = 10_000;
const POLL_MS = 10;
const { JobEntry, NotificationSetting } = gs2.jobQueue.model;

const entry = (scriptId, args, maxTryCount) => {
  const made = new JobEntry().withScriptId(scriptId);
  if (args !== undefined) made.withArgs(typeof args === 'string' ? args : JSON.stringify(args));
  return maxTryCount === undefined ? made : made.withMaxTryCount(maxTryCount);
};

suite((t) => {
  const jobQueue = (operation, fields) => t.call('jobQueue', operation, fields);
  const sockets = [];
  after(() => Promise.all(sockets.map((socket) => socket.close())));

  // A queue with these settings, called as the player (`me`) or by user id.
  const queueOf = async (who, settings = {}) => {
    const namespaceName = unique('ns');
    await jobQueue('createNamespace', { name: namespaceName, ...settings });
    t.undo('jobQueue', 'deleteNamespace', { namespaceName });
    const userId = unique('user');
    const server = { namespaceName, userId };
    const identity = who === 'me'
      ? { namespaceName, accessToken: (await t.call('auth', 'login', { userId })).token } : server;
    const verb = (name) => (who === 'me' ? name : `${name}ByUserId`);
    const queue = {
      namespaceName,
      userId,
      push: (...jobs) => jobQueue('pushByUserId', { ...server, jobs }),
      run: () => jobQueue(verb('run'), identity),
      result: async (jobName, tryNumber) =>
        (await jobQueue(verb('getJobResult'), { ...identity, jobName, tryNumber })).item,
      remove: async (jobName) => (await jobQueue(verb('deleteJob'), { ...identity, jobName })).item,
      get: async (jobName) => (await jobQueue('getJobByUserId', { ...server, jobName })).item,
      describe: (fields) => jobQueue('describeJobsByUserId', { ...server, ...fields }),
      letters: (fields) => jobQueue('describeDeadLetterJobsByUserId', { ...server, ...fields }),
      letter: async (deadLetterJobName) =>
        (await jobQueue('getDeadLetterJobByUserId', { ...server, deadLetterJobName })).item,
      removeLetter: async (deadLetterJobName) =>
        (await jobQueue('deleteDeadLetterJobByUserId', { ...server, deadLetterJobName })).item,
    };
    queue.names = async () => (await queue.describe()).items.map((job) => job.name);
    // J-41: clients ask until there is a result.
    queue.awaited = async (jobName) => {
      const deadline = Date.now() + DEADLINE_MS;
      for (;;) {
        try {
          return await queue.result(jobName);
        } catch (thrown) {
          assert.equal(thrown.items?.[0].component, 'jobResult', thrown.stack);
          assert.ok(Date.now() < deadline, 'the job did not run');
          await pause(POLL_MS);
        }
      }
    };
    return queue;
  };

  // A socket of the SDK that is the player's, and what it is told.
  const listen = async (gatewayNamespaceName, userId) => {
    const socket = await connect('websocket');
    sockets.push(socket);
    const received = [];
    const events = new EventEmitter();
    socket.session.onNotification((message) => {
      received.push(message);
      events.emit('notification');
    });
    await socket.call('gateway', 'setUserIdByUserId', { namespaceName: gatewayNamespaceName, userId });
    return async (count) => {
      const signal = AbortSignal.timeout(DEADLINE_MS);
      while (received.length < count) await once(events, 'notification', { signal });
      return received.splice(0);
    };
  };

  test('namespace: create, get, update, status, describe, delete (N-04, N-12 to N-14, J-05, J-06)', async () => {
    const name = unique('ns');
    t.undo('jobQueue', 'deleteNamespace', { namespaceName: name });
    const runNotification = new NotificationSetting().withGatewayNamespaceId(grn('gateway', 'default'))
      .withEnableTransferMobileNotification(true).withSound('bell');
    const { item } = await jobQueue('createNamespace',
      { name, description: 'あ𠮷', enableAutoRun: true, runNotification });
    assert.equal(item.namespaceId, grn('queue', name));
    assert.equal(item.enableAutoRun, true);
    assert.equal(item.runNotification.gatewayNamespaceId, grn('gateway', 'default'));
    assert.equal(item.runNotification.sound, 'bell');
    await refused(() => jobQueue('createNamespace', { name }), 'jobQueue.namespace.name.error.exists');
    assert.deepEqual((await jobQueue('getNamespace', { namespaceName: name })).item, item);
    assert.equal((await jobQueue('getNamespaceStatus', { namespaceName: name })).status, 'ACTIVE');
    const updated = (await jobQueue('updateNamespace', { namespaceName: name })).item;
    assert.equal(updated.enableAutoRun, false);
    assert.equal(updated.runNotification ?? null, null);
    const { items } = await pages((fields) => jobQueue('describeNamespaces', fields), {}, 1000);
    assert.deepEqual(items.filter((listed) => listed.name === name), [updated]);
    assert.equal((await jobQueue('deleteNamespace', { namespaceName: name })).item.name, name);
    await refused(() => jobQueue('getNamespace', { namespaceName: name }), NO_NAMESPACE);
  });

  test('push: refusals, all or none (J-10 to J-12)', async () => {
    const queue = await queueOf('byUserId');
    const good = entry('grn:s');
    await refused(() => queue.push(...Array(11).fill(good)), 'jobQueue.job.jobs.error.tooMany');
    await refused(() => queue.push(good, entry('')), 'jobQueue.jobEntry.scriptId.error.require');
    await refused(() => queue.push(good, entry('grn:s', 'a'.repeat(131_073))), 'jobQueue.jobEntry.args.error.tooLong');
    await refused(() => queue.push(good, entry('grn:s', '{}', 101)), 'jobQueue.jobEntry.maxTryCount.error.invalid');
    assert.deepEqual(await queue.names(), []);
    assert.deepEqual((await queue.push()).items, []);
    assert.equal((await queue.push(entry('grn:s', 'a'.repeat(131_072), 0))).items[0].maxTryCount, 1);
  });

  for (const who of ['me', 'byUserId']) {
    test(`${who}: jobs run in their order until the last one (J-02, J-20 to J-23, J-53)`, async () => {
      const queue = await queueOf(who);
      const store = await t.scripts();
      const scriptId = await store(ECHO);
      const pushed = [];
      for (const number of [1, 2]) {
        const { items, autoRun } = await queue.push(entry(scriptId, { number }), entry(scriptId, { number }));
        assert.equal(autoRun, false);
        pushed.push(...items);
      }
      const listed = await pages((fields) => queue.describe(fields), {}, 3);
      assert.deepEqual(listed.items, pushed);
      assert.deepEqual(await queue.get(pushed[0].name), pushed[0]);
      for (const [index, job] of pushed.entries()) {
        const ran = await queue.run();
        assert.deepEqual(ran.item, job);
        assert.equal(ran.result.tryNumber, 1);
        assert.equal(ran.result.statusCode, 200);
        assert.equal(ran.isLastJob, index === 3);
        const kept = await queue.result(job.name);
        assert.equal(kept.tryNumber, 0);
        assert.equal(kept.result, ran.result.result);
      }
      const empty = await queue.run();
      assert.equal(empty.item ?? null, null);
      assert.equal(empty.isLastJob, true);
      await refused(() => queue.get(pushed[0].name), NO_JOB);
    });

    test(`${who}: a failing job blocks, is counted and becomes a dead letter (J-31 to J-39, J-50)`, async () => {
      const queue = await queueOf(who);
      const store = await t.scripts();
      const { items: [bad, good] } = await queue.push(
        entry(await store(FAIL), { status: 409 }, 2), entry(await store(ECHO)));
      await refused(() => queue.result(bad.name), NO_RESULT);
      const first = await queue.run();
      assert.equal(first.result.statusCode, 409);
      assert.ok(JSON.parse(first.result.result)[0].message);
      assert.equal((await queue.get(bad.name)).currentRetryCount, 1);
      assert.deepEqual(await queue.names(), [bad.name, good.name]);
      const second = await queue.run();
      assert.equal(second.isLastJob, false);
      const letter = await queue.letter(bad.name);
      assert.equal(letter.deadLetterJobId, grn('queue', queue.namespaceName, 'user', queue.userId, 'dead', bad.name));
      assert.equal(letter.scriptId, bad.scriptId);
      assert.equal(letter.args, bad.args);
      assert.deepEqual(letter.result, [first.result, second.result]);
      assert.deepEqual(letter.result.map((body) => body.tryNumber), [1, 2]);
      assert.equal((await queue.result(bad.name, 0)).tryNumber, 0);
      assert.equal((await queue.result(bad.name)).tryNumber, 1);
      await refused(() => queue.result(bad.name, 2), NO_RESULT);
      assert.deepEqual((await queue.letters()).items, [letter]);
      assert.deepEqual(await queue.removeLetter(bad.name), letter);
      await refused(() => queue.letter(bad.name), NO_DEAD_LETTER);
      await refused(() => queue.removeLetter(bad.name), NO_DEAD_LETTER);
      assert.equal((await queue.run()).item.name, good.name);
    });

    test(`${who}: a job is deleted (J-52)`, async () => {
      const queue = await queueOf(who);
      const { items: [job, other] } = await queue.push(entry('grn:s'), entry('grn:s'));
      assert.deepEqual(await queue.remove(job.name), job);
      await refused(() => queue.remove(job.name), NO_JOB);
      assert.deepEqual(await queue.names(), [other.name]);
    });

    test(`${who}: with auto run the server does it (J-24, J-40, J-41)`, async () => {
      const queue = await queueOf(who, { enableAutoRun: true });
      const store = await t.scripts();
      const { items: [job], autoRun } = await queue.push(entry(await store(ECHO), { a: 1 }));
      assert.equal(autoRun, true);
      const result = await queue.awaited(job.name);
      assert.equal(result.jobId, job.jobId);
      assert.equal(result.result, '{"a":1}');
      const ran = await queue.run();
      assert.equal(ran.item ?? null, null);
      assert.equal(ran.isLastJob, true);
    });
  }

  test('dead letters by page (N-07, J-37)', async () => {
    const queue = await queueOf('byUserId');
    const jobs = Array.from({ length: 5 }, () => entry(grn('script', 'absent', 'script', 'absent'), '{}', 1));
    const names = (await queue.push(...jobs)).items.map((job) => job.name);
    for (const name of names) assert.equal((await queue.run()).item.name, name);
    const { items, sizes } = await pages((fields) => queue.letters(fields), {}, 2);
    assert.deepEqual(items.map((letter) => letter.name), names);
    assert.ok(items.every((letter) => letter.result[0].statusCode === 404));
    assert.ok(sizes.every((size) => size <= 2));
  });

  test('one job of a player at a time, other players beside it (J-25)', async () => {
    const locks = await t.namespace();
    const queue = await queueOf('byUserId');
    const store = await t.scripts();
    const wait = await store(`
      local lock, gate = gs2('lock'), {namespaceName = args.n, userId = 'gate', propertyId = 'gate'}
      lock.lock_by_user_id({namespaceName = args.n, userId = 'gate', propertyId = 'gate', transactionId = 't'})
      repeat until lock.get_mutex_by_user_id(gate).isError
      result = {}
    `);
    await queue.push(entry(wait, { n: locks }), entry(await store(ECHO)));
    const running = queue.run();
    const gate = { namespaceName: locks, userId: 'gate' };
    while ((await t.call('lock', 'describeMutexesByUserId', gate)).items.length === 0) await pause(POLL_MS);
    await assert.rejects(() => queue.run(), (thrown) => {
      assert.deepEqual(thrown.items.map((item) => item.code), ['jobQueue.execution.conflict']);
      return true;
    });
    const other = { namespaceName: queue.namespaceName, userId: unique('user') };
    await jobQueue('pushByUserId', { ...other, jobs: [entry(await store(ECHO))] });
    assert.equal((await jobQueue('runByUserId', other)).result.statusCode, 200);
    await t.call('lock', 'deleteMutexByUserId', { ...gate, propertyId: 'gate' });
    assert.equal((await running).isLastJob, false);
    assert.equal((await queue.run()).isLastJob, true);
  });

  test('players are told of a push and of each job that ran (J-15, J-27)', async () => {
    const gateway = await t.namespace('gateway');
    const setting = () => new NotificationSetting().withGatewayNamespaceId(grn('gateway', gateway));
    const queue = await queueOf('byUserId', { pushNotification: setting(), runNotification: setting() });
    const told = await listen(gateway, queue.userId);
    const store = await t.scripts();
    const scriptId = await store(ECHO);
    const names = (await queue.push(entry(scriptId), entry(scriptId))).items.map((job) => job.name);
    await queue.run();
    await queue.run();
    const messages = await told(3);
    assert.deepEqual(messages.map((message) => message.subject),
      ['Gs2JobQueue:Push', 'Gs2JobQueue:RunNotification', 'Gs2JobQueue:RunNotification']);
    assert.ok(messages.every((message) => message.issuer === grn('queue', queue.namespaceName)));
    const [push, ...runs] = messages.map((message) => JSON.parse(message.payload));
    assert.deepEqual(push, { namespaceName: queue.namespaceName, userId: queue.userId });
    assert.deepEqual(runs.map((payload) => payload.jobName), names);
    assert.ok(runs.every((payload) => payload.userId === queue.userId));
  });

  test('built-in scripts make the call that they are named after (J-64)', async () => {
    const queue = await queueOf('byUserId');
    const scriptId = grn('script', 'general', 'script', 'execute_job_queue_push_by_user_id')
      .replace(/^(grn:gs2:[^:]*):[^:]*/, '$1:system');
    const args = { namespaceName: queue.namespaceName, userId: 'user-1', jobs: [{ scriptId: 'grn:s' }] };
    await queue.push(entry(scriptId, args, 1), entry(scriptId, { ...args, namespaceName: unique('absent') }, 1));
    const done = await queue.run();
    assert.equal(done.result.statusCode, 200);
    assert.equal(JSON.parse(done.result.result).items[0].scriptId, 'grn:s');
    const failed = await queue.run();
    assert.equal(failed.result.statusCode, 404);
    assert.equal(JSON.parse(failed.result.result)[0].message, NO_NAMESPACE);
  });

  test('what is no stamp sheet and no task is refused with a reason (J-16, D-10, D-11)', async () => {
    const keyId = grn('key', 'default');
    await refused(() => jobQueue('pushByStampSheet', { stampSheet: '{}', keyId }),
      'distributor.distribute.stampSheet.error.invalid');
    await refused(() => jobQueue('deleteByStampTask', { stampTask: '{}', keyId }),
      'distributor.distribute.stampTask.error.invalid');
  });
});
