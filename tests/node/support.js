// The official npm SDK over either transport, called by operation name and plain fields.
'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const gs2 = require('gs2');
const { Gs2Constant } = require('gs2/core/model');

function variable(name) {
  const value = process.env[`HIROBA_${name}`];
  if (!value) throw new Error(`HIROBA_${name} is not set: the suites run against a started server`);
  return value;
}

const environment = {
  url: variable('URL').replace(/\/$/, ''),
  clientId: variable('CLIENT_ID'),
  clientSecret: variable('CLIENT_SECRET'),
  ownerId: variable('OWNER_ID'),
  region: variable('REGION'),
};

Gs2Constant.ENDPOINT_HOST = `${environment.url}/{service}`;
Gs2Constant.WS_ENDPOINT_HOST = environment.url.replace(/^http/, 'ws');

const transports = ['rest', 'websocket'];

const userData = ['dumpUserDataByUserId', 'checkDumpUserDataByUserId', 'cleanUserDataByUserId', 'checkCleanUserDataByUserId',
  'prepareImportUserDataByUserId', 'importUserDataByUserId', 'checkImportUserDataByUserId'];

// Component of an operation on the socket; the SDK itself speaks REST for these services.
const components = {
  lock: {
    namespace: ['describeNamespaces', 'createNamespace', 'getNamespaceStatus', 'getNamespace', 'updateNamespace',
      'deleteNamespace'],
    mutex: ['describeMutexes', 'describeMutexesByUserId', 'lock', 'lockByUserId', 'unlock', 'unlockByUserId', 'getMutex',
      'getMutexByUserId', 'deleteMutexByUserId'],
  },
  gateway: {
    namespace: ['describeNamespaces', 'createNamespace', 'getNamespaceStatus', 'getNamespace', 'updateNamespace',
      'deleteNamespace', ...userData],
    webSocketSession: ['describeWebSocketSessions', 'describeWebSocketSessionsByUserId', 'setUserId', 'setUserIdByUserId',
      'sendNotification', 'disconnectByUserId', 'disconnectAll'],
    firebaseToken: ['setFirebaseToken', 'setFirebaseTokenByUserId', 'getFirebaseToken', 'getFirebaseTokenByUserId',
      'deleteFirebaseToken', 'deleteFirebaseTokenByUserId', 'sendMobileNotificationByUserId'],
  },
  script: {
    namespace: ['describeNamespaces', 'createNamespace', 'getNamespaceStatus', 'getNamespace', 'updateNamespace',
      'deleteNamespace'],
    script: ['describeScripts', 'createScript', 'createScriptFromGitHub', 'getScript', 'updateScript',
      'updateScriptFromGitHub', 'deleteScript', 'invokeScript', 'debugInvoke'],
  },
  jobQueue: {
    namespace: ['describeNamespaces', 'createNamespace', 'getNamespaceStatus', 'getNamespace', 'updateNamespace',
      'deleteNamespace', ...userData],
    job: ['describeJobsByUserId', 'getJobByUserId', 'pushByUserId', 'run', 'runByUserId', 'deleteJob', 'deleteJobByUserId',
      'pushByStampSheet', 'deleteByStampTask'],
    jobResult: ['getJobResult', 'getJobResultByUserId'],
    deadLetterJob: ['describeDeadLetterJobsByUserId', 'getDeadLetterJobByUserId', 'deleteDeadLetterJobByUserId'],
  },
  chat: {
    namespace: ['describeNamespaces', 'createNamespace', 'getNamespaceStatus', 'getNamespace', 'updateNamespace',
      'deleteNamespace', ...userData],
    room: ['describeRooms', 'createRoom', 'createRoomFromBackend', 'getRoom', 'updateRoom', 'updateRoomFromBackend',
      'deleteRoom', 'deleteRoomFromBackend'],
    message: ['describeMessages', 'describeMessagesByUserId', 'describeLatestMessages', 'describeLatestMessagesByUserId',
      'post', 'postByUserId', 'getMessage', 'getMessageByUserId', 'deleteMessage'],
    subscribe: ['describeSubscribes', 'describeSubscribesByUserId', 'describeSubscribesByRoomName', 'subscribe',
      'subscribeByUserId', 'getSubscribe', 'getSubscribeByUserId', 'updateNotificationType',
      'updateNotificationTypeByUserId', 'unsubscribe', 'unsubscribeByUserId'],
  },
  key: {
    namespace: ['describeNamespaces', 'createNamespace', 'getNamespaceStatus', 'getNamespace', 'updateNamespace',
      'deleteNamespace'],
    key: ['describeKeys', 'createKey', 'updateKey', 'getKey', 'deleteKey', 'encrypt', 'decrypt'],
    gitHubApiKey: ['describeGitHubApiKeys', 'createGitHubApiKey', 'updateGitHubApiKey', 'getGitHubApiKey',
      'deleteGitHubApiKey'],
  },
  distributor: {
    namespace: ['describeNamespaces', 'createNamespace', 'getNamespaceStatus', 'getNamespace', 'updateNamespace',
      'deleteNamespace'],
    distributorModelMaster: ['describeDistributorModelMasters', 'createDistributorModelMaster',
      'getDistributorModelMaster', 'updateDistributorModelMaster', 'deleteDistributorModelMaster'],
    distributorModel: ['describeDistributorModels', 'getDistributorModel'],
    currentDistributorMaster: ['exportMaster', 'getCurrentDistributorMaster', 'updateCurrentDistributorMaster'],
    distribute: ['distribute', 'distributeWithoutOverflowProcess', 'runVerifyTask', 'runStampTask', 'runStampSheet',
      'runStampSheetExpress', 'runStampTaskWithoutNamespace', 'runStampSheetWithoutNamespace',
      'runStampSheetExpressWithoutNamespace'],
    stampSheetResult: ['getStampSheetResult', 'getStampSheetResultByUserId'],
  },
  log: {
    namespace: ['describeNamespaces', 'createNamespace', 'getNamespaceStatus', 'getNamespace', 'updateNamespace',
      'deleteNamespace'],
    accessLog: ['queryAccessLog', 'countAccessLog'],
    issueStampSheetLog: ['queryIssueStampSheetLog', 'countIssueStampSheetLog'],
    executeStampSheetLog: ['queryExecuteStampSheetLog', 'countExecuteStampSheetLog'],
    executeStampTaskLog: ['queryExecuteStampTaskLog', 'countExecuteStampTaskLog'],
    inGameLog: ['queryInGameLog', 'sendInGameLog', 'sendInGameLogByUserId'],
    accessLogWithTelemetry: ['queryAccessLogWithTelemetry'],
    insight: ['describeInsights', 'createInsight', 'getInsight', 'deleteInsight'],
  },
  auth: { accessToken: ['login', 'loginBySignature', 'federation', 'issueTimeOffsetTokenByUserId'] },
  identifier: {
    user: ['describeUsers', 'createUser', 'updateUser', 'getUser', 'deleteUser'],
    securityPolicy: ['describeSecurityPolicies', 'describeCommonSecurityPolicies', 'createSecurityPolicy',
      'updateSecurityPolicy', 'getSecurityPolicy', 'deleteSecurityPolicy'],
    identifier: ['describeIdentifiers', 'createIdentifier', 'getIdentifier', 'deleteIdentifier'],
    password: ['describePasswords', 'createPassword', 'getPassword', 'enableMfa', 'challengeMfa', 'disableMfa',
      'deletePassword'],
    attachSecurityPolicy: ['getHasSecurityPolicy', 'attachSecurityPolicy', 'detachSecurityPolicy'],
    projectToken: ['login', 'loginByUser'],
  },
};

function componentOf(service, operation) {
  const found = Object.entries(components[service]).find(([, operations]) => operations.includes(operation));
  assert.ok(found, `${service}.${operation} has no component`);
  return found[0];
}

const title = (name) => name[0].toUpperCase() + name.slice(1);

const clients = {
  lock: gs2.lock.Gs2LockRestClient,
  gateway: gs2.gateway.Gs2GatewayRestClient,
  auth: gs2.auth.Gs2AuthRestClient,
  identifier: gs2.identifier.Gs2IdentifierRestClient,
  script: gs2.script.Gs2ScriptRestClient,
  jobQueue: gs2.jobQueue.Gs2JobQueueRestClient,
  chat: gs2.chat.Gs2ChatRestClient,
  key: gs2.key.Gs2KeyRestClient,
  distributor: gs2.distributor.Gs2DistributorRestClient,
  log: gs2.log.Gs2LogRestClient,
};

// A refusal as both transports give it: the items of the error array.
class Refusal extends Error {
  constructor(items) {
    super(JSON.stringify(items));
    this.items = items;
  }
}

// The SDK's models as the objects that they are on the wire.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  if (typeof value.toDict === 'function') return value.toDict();
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

class Rest {
  constructor(session) {
    this.session = session;
  }

  async call(service, operation, fields = {}) {
    const request = new gs2[service].request[`${title(operation)}Request`]();
    for (const [field, value] of Object.entries(fields)) request[`with${title(field)}`](value);
    const client = new clients[service](this.session);
    try {
      return (await client[operation](request)).toDict();
    } catch (thrown) {
      if (Array.isArray(thrown)) throw new Refusal(thrown);
      throw thrown;
    }
  }

  async close() {
    this.session.disconnect();
  }
}

class Socket {
  constructor(session) {
    this.session = session;
  }

  async call(service, operation, fields = {}) {
    const { accessToken, ...payload } = fields;
    if (accessToken !== undefined) payload.xGs2AccessToken = accessToken;
    try {
      return await this.session.send(service, componentOf(service, operation), operation, plain(payload));
    } catch (thrown) {
      if (typeof thrown?.message === 'string' && !(thrown instanceof Error)) throw new Refusal(JSON.parse(thrown.message));
      throw thrown;
    }
  }

  async close() {
    await this.session.disconnect();
  }
}

async function connect(transport, credential) {
  const { BasicGs2Credential, Gs2RestSession, Gs2WebSocketSession } = gs2.core;
  const type = transport === 'rest' ? Gs2RestSession : Gs2WebSocketSession;
  const given = credential ?? new BasicGs2Credential(environment.clientId, environment.clientSecret);
  const session = new type(given, environment.region);
  await session.connect();
  return transport === 'rest' ? new Rest(session) : new Socket(session);
}

// E-01 to E-03, E-12: exactly this error, with everything that SDKs read.
async function refused(call, message) {
  await assert.rejects(call, (thrown) => {
    assert.ok(thrown instanceof Refusal, thrown.stack);
    assert.deepEqual(thrown.items.map((item) => item.message), [message]);
    const [item] = thrown.items;
    const [, model, member, word, kind] = message.split('.');
    assert.equal(word, 'error');
    assert.equal(item.component, model);
    assert.equal(item.code, `${model}.${member}.${kind}`);
    assert.ok(typeof item.detail === 'string' && item.detail.length > 0);
    return true;
  });
}

// Tests of one transport share a session and clean up behind themselves.
function suite(define) {
  const { after, before, describe } = require('node:test');
  for (const transport of transports) {
    describe(transport, () => {
      const context = { transport };
      const undo = [];
      before(async () => {
        context.sdk = await connect(transport);
        context.call = (service, operation, fields) => context.sdk.call(service, operation, fields);
      });
      after(async () => {
        const rest = await connect('rest');
        for (const [service, operation, fields] of undo.reverse()) {
          await rest.call(service, operation, fields).catch((thrown) => {
            if (!/notFound/.test(thrown.message)) throw thrown;
          });
        }
        await context.sdk.close();
      });
      context.undo = (service, operation, fields) => undo.push([service, operation, fields]);
      context.namespace = async (service = 'lock') => {
        const name = unique('ns');
        await context.call(service, 'createNamespace', { name });
        context.undo(service, 'deleteNamespace', { namespaceName: name });
        return name;
      };
      // Stores scripts in a new namespace and gives their GRNs.
      context.scripts = async () => {
        const namespaceName = await context.namespace('script');
        return async (script, fields = {}) => (await context.call('script', 'createScript',
          { namespaceName, name: unique('script'), script, ...fields })).item.scriptId;
      };
      context.user = async () => {
        const name = unique('user');
        await context.call('identifier', 'createUser', { name });
        context.undo('identifier', 'deleteUser', { userName: name });
        return name;
      };
      define(context);
    });
  }
}

const unique = (prefix) => `${prefix}-${randomUUID().replaceAll('-', '').slice(0, 16)}`;

const grn = (service, ...rest) =>
  ['grn', 'gs2', service === 'identifier' ? '' : environment.region, environment.ownerId, service, ...rest].join(':');

// All pages of a list, and how many items each had.
async function pages(describe, fields, limit) {
  const items = [];
  const sizes = [];
  let pageToken;
  do {
    const page = await describe({ ...fields, limit, pageToken });
    items.push(...page.items);
    sizes.push(page.items.length);
    pageToken = page.nextPageToken ?? undefined;
  } while (pageToken !== undefined);
  return { items, sizes };
}

const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

module.exports = { byBytes, connect, environment, grn, gs2, pages, Refusal, refused, suite, unique };
