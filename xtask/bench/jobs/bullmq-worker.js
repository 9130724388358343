'use strict';

// One process of workers that do nothing. It says how many jobs it has completed.

const { Worker } = require('bullmq');

const [port, queue, concurrency] = process.argv.slice(2);
const worker = new Worker(queue, async () => ({}), {
  connection: { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null },
  concurrency: Number(concurrency),
  autorun: false,
  removeOnComplete: { count: 0 },
});

let completed = 0;
let telling = false;
worker.on('completed', () => {
  completed += 1;
  if (telling) return;
  telling = true;
  setTimeout(() => {
    telling = false;
    process.send({ completed });
  }, 2);
});
worker.on('failed', (job, error) => { throw error; });
worker.on('error', (error) => { throw error; });
process.on('message', () => { worker.run(); });
process.on('disconnect', () => { process.exit(); });
worker.waitUntilReady().then(() => process.send({ ready: true }));
