// What services hold of a player through the npm SDK: dumped, removed, and taken in again. BEHAVIOUR section 13.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { gs2, refused, suite, unique } = require('./support');

const { JobEntry } = gs2.jobQueue.model;

suite((t) => {
  // Makes something of a player in a service, and shows it.
  const services = {
    async chat(userId) {
      const namespaceName = await t.namespace('chat');
      await t.call('chat', 'createRoomFromBackend', { namespaceName, name: 'room' });
      await t.call('chat', 'postByUserId', { namespaceName, roomName: 'room', userId, metadata: 'あ𠮷' });
      return async (who) => {
        const { items } = await t.call('chat', 'describeMessagesByUserId', { namespaceName, roomName: 'room', userId: who });
        return items.filter((item) => item.userId === who).map((item) => item.metadata);
      };
    },
    async jobQueue(userId) {
      const namespaceName = await t.namespace('jobQueue');
      const jobs = ['{"n":1}', '{"n":2}'].map((args) => new JobEntry().withScriptId('grn:script').withArgs(args));
      await t.call('jobQueue', 'pushByUserId', { namespaceName, userId, jobs });
      return async (who) => {
        const { items } = await t.call('jobQueue', 'describeJobsByUserId', { namespaceName, userId: who });
        return items.map((item) => item.args);
      };
    },
    async gateway(userId) {
      const namespaceName = await t.namespace('gateway');
      await t.call('gateway', 'setFirebaseTokenByUserId', { namespaceName, userId, token: 'device' });
      return async (who) => {
        const found = t.call('gateway', 'getFirebaseTokenByUserId', { namespaceName, userId: who });
        return found.then(({ item }) => [item.token], (thrown) => {
          assert.deepEqual(thrown.items?.map((item) => item.component), ['firebaseToken']);
          return [];
        });
      };
    },
  };

  for (const [service, fill] of Object.entries(services)) {
    const call = (operation, fields) => t.call(service, `${operation}UserDataByUserId`, fields);

    test(`${service}: dump, clean, import (U-01 to U-08)`, async () => {
      const [userId, other] = [unique('user'), unique('user')];
      const shows = await fill(userId);
      const before = await shows(userId);
      assert.ok(before.length > 0);
      await refused(() => call('checkDump', { userId }), `${service}.userData.userData.error.notFound`);
      await call('dump', { userId });
      const { url } = await call('checkDump', { userId });
      const file = await fetch(url);
      assert.deepEqual([file.status, file.headers.get('content-type')], [200, 'application/zip']);
      const content = Buffer.from(await file.arrayBuffer());
      for (const who of [userId, other]) {
        await call('clean', { userId });
        await call('checkClean', { userId });
        assert.deepEqual(await shows(userId), []);
        const { uploadToken, uploadUrl } = await call('prepareImport', { userId: who });
        const headers = { 'Content-Type': 'application/zip' };
        assert.equal((await fetch(uploadUrl, { method: 'PUT', body: content, headers })).status, 200);
        await call('import', { userId: who, uploadToken });
        const log = await fetch((await call('checkImport', { userId: who, uploadToken })).url);
        assert.match(await log.text(), / added/);
        assert.deepEqual(await shows(who), before);
      }
      await refused(() => call('import', { userId, uploadToken: 'unknown' }),
        `${service}.userData.uploadToken.error.invalid`);
    });
  }
});
