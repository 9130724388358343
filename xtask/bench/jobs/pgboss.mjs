// pg-boss as `cargo xtask bench jobs` measures it: arguments are the address of the database, connections to it, and jobs
// that are fetched at most.

import { PgBoss } from 'pg-boss';
import control from './control.js';

const { Ends, players, repeat, serve, steadily } = control;
const [connectionString, connections, fetched] = process.argv.slice(2);

const boss = new PgBoss({ connectionString, max: Number(connections), useListenNotify: true, schedule: false });
boss.on('error', (error) => console.error(error));
boss.on('warning', (warning) => console.error(warning));
await boss.start();

// The order of each player's jobs is kept, also when one fails.
async function create(name) {
  if (!(await boss.getQueue(name))) await boss.createQueue(name, { policy: 'key_strict_fifo', notify: true });
}

function job(player) {
  return { data: { item: 'potion', amount: 3 }, singletonKey: player };
}

serve({
  async enqueue({ name, callers, seconds, batch, playersMax }) {
    await create(name);
    const player = players(playersMax);
    const { calls, seconds: elapsed } = await repeat(callers, seconds, batch === 1
      ? () => { const { data, singletonKey } = job(player()); return boss.send(name, data, { singletonKey }); }
      : () => { const to = player(); return boss.insert(name, Array.from({ length: batch }, () => job(to))); });
    return { jobs: calls * batch, seconds: elapsed };
  },

  async fill({ name, players: count, each }) {
    await create(name);
    const jobs = [];
    for (let player = 0; player < count; player += 1) {
      for (let number = 0; number < each; number += 1) jobs.push(job(`player-${player}`));
    }
    for (let at = 0; at < jobs.length; at += 1000) await boss.insert(name, jobs.slice(at, at + 1000));
    // PostgreSQL does so by itself within a minute. Before, its plans for a fetch are up to a hundred times slower.
    await boss.getDb().executeSql('ANALYZE');
  },

  // Fetches and completes in a loop, so that no time is lost with pauses between fetches. At most one job of each player is
  // fetched at a time, and what a fetch costs depends little on how many it finds.
  async drain({ name, players: count, jobs, seconds }) {
    const start = performance.now();
    const end = start + seconds * 1000;
    const batchSize = Math.min(Number(fetched), count);
    let done = 0;
    while (done < jobs && performance.now() < end) {
      const some = await boss.fetch(name, { batchSize });
      await boss.complete(name, some.map(({ id }) => id), {});
      done += some.length;
    }
    return { jobs: done, seconds: (performance.now() - start) / 1000 };
  },

  async drained({ name }) {
    return { left: (await boss.findJobs(name, { queued: true })).length };
  },

  // Until the worker has told the database that the job is completed.
  async latency({ name, seconds, rate, playersMax }) {
    await create(name);
    const ends = new Ends();
    // A notification wakes a worker for one fetch, so a fetch takes several jobs, and the pauses are the shortest allowed.
    const options = { localConcurrency: 2, batchSize: 10, pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 0.5 };
    const worker = await boss.work(name, options, async (jobs) => {
      const ids = jobs.map(({ id }) => id);
      await boss.complete(name, ids, {});
      ids.forEach((id) => ends.done(id));
    });
    const player = players(playersMax);
    const call = async () => {
      const start = performance.now();
      const { data, singletonKey } = job(player());
      const id = await boss.send(name, data, { singletonKey });
      return (await ends.of(id)) - start;
    };
    await steadily(1, rate, call);
    const begun = performance.now();
    const millis = await steadily(seconds, rate, call);
    const elapsed = (performance.now() - begun) / 1000;
    await boss.offWork(name, { id: worker });
    return { jobs: millis.length, seconds: elapsed, millis };
  },
});
