'use strict';

// BullMQ as `cargo xtask bench jobs` measures it: arguments are the port of Redis, and processes of workers and the jobs that
// each runs at a time.

const { fork } = require('node:child_process');
const path = require('node:path');
const { Queue, QueueEvents } = require('bullmq');
const { Ends, players, repeat, serve, steadily } = require('./control');

const [port, processes, concurrency] = process.argv.slice(2).map(Number);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };

const queues = new Map();
function queue(name) {
  if (!queues.has(name)) queues.set(name, new Queue(name, { connection }));
  return queues.get(name);
}

function job(player) {
  return { name: 'job', data: { player, item: 'potion', amount: 3 } };
}

// Starts processes of workers that wait for the word.
async function workers(name) {
  const script = path.join(__dirname, 'bullmq-worker.js');
  const children = Array.from({ length: processes }, () => fork(script, [port, name, concurrency]));
  await Promise.all(children.map((child) => new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`a worker ended with ${code}`)));
  })));
  return {
    // Resolves when so many jobs are completed, or when the time is over, with the number of those that are.
    run: (jobs, seconds) => new Promise((resolve, reject) => {
      const counts = children.map(() => 0);
      const sum = () => counts.reduce((one, other) => one + other, 0);
      const timer = setTimeout(() => resolve(sum()), seconds * 1000);
      children.forEach((child, index) => {
        child.on('message', ({ completed }) => {
          counts[index] = completed;
          if (sum() >= jobs) {
            clearTimeout(timer);
            resolve(sum());
          }
        });
        child.once('exit', (code) => reject(new Error(`a worker ended with ${code}`)));
        child.send('run');
      });
    }),
    stop: () => {
      children.forEach((child) => {
        child.removeAllListeners();
        child.kill();
      });
    },
  };
}

let waiting;

serve({
  async enqueue({ name, callers, seconds, batch, playersMax }) {
    const to = queue(name);
    await to.waitUntilReady();
    const player = players(playersMax);
    const { calls, seconds: elapsed } = await repeat(callers, seconds, batch === 1
      ? () => { const { name: kind, data } = job(player()); return to.add(kind, data); }
      : () => { const to1 = player(); return to.addBulk(Array.from({ length: batch }, () => job(to1))); });
    return { jobs: calls * batch, seconds: elapsed };
  },

  async fill({ name, players: count, each }) {
    const to = queue(name);
    const jobs = [];
    for (let player = 0; player < count; player += 1) {
      for (let number = 0; number < each; number += 1) jobs.push(job(`player-${player}`));
    }
    for (let at = 0; at < jobs.length; at += 1000) await to.addBulk(jobs.slice(at, at + 1000));
    waiting = await workers(name);
  },

  async drain({ jobs, seconds }) {
    const start = performance.now();
    const done = await waiting.run(jobs, seconds);
    return { jobs: done, seconds: (performance.now() - start) / 1000 };
  },

  async drained({ name }) {
    waiting.stop();
    return { left: await queue(name).getJobCountByTypes('waiting', 'active', 'delayed', 'failed') };
  },

  // Until the events of the queue, which are how others learn of it, say that a job is completed.
  async latency({ name, seconds, rate, playersMax }) {
    const to = queue(name);
    const events = new QueueEvents(name, { connection });
    const ends = new Ends();
    events.on('completed', ({ jobId }) => ends.done(jobId));
    await events.waitUntilReady();
    const running = await workers(name);
    running.run(Infinity, seconds + 60).catch(() => {});
    const player = players(playersMax);
    const call = async () => {
      const start = performance.now();
      const { id } = await to.add('job', job(player()).data);
      return (await ends.of(id)) - start;
    };
    await steadily(1, rate, call);
    const begun = performance.now();
    const millis = await steadily(seconds, rate, call);
    const elapsed = (performance.now() - begun) / 1000;
    running.stop();
    await events.close();
    return { jobs: millis.length, seconds: elapsed, millis };
  },
});
