'use strict';

// Commands of the benchmark, one JSON object a line on a TCP connection: `do` names the command, the other members are for
// it. Each is answered with one line: what the command found, or `error`.

const net = require('node:net');

// Takes commands until the process is ended; says on which port when it does.
function serve(commands) {
  const server = net.createServer({ noDelay: true }, (connection) => {
    let rest = '';
    connection.setEncoding('utf8');
    connection.on('error', () => {});
    connection.on('data', async (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const command = JSON.parse(line);
        let answer;
        try {
          answer = (await commands[command.do](command)) ?? {};
        } catch (error) {
          answer = { error: String(error.stack ?? error) };
        }
        connection.write(`${JSON.stringify(answer)}\n`);
      }
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
}

// Names of players, drawn at random but the same ones in every run.
function players(count) {
  let state = 42;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return `player-${String((state >>> 0) % count).padStart(5, '0')}`;
  };
}

// So many callers do something again and again for a while; each waits for its answer. Returns how often it was done and how
// long it took.
async function repeat(callers, seconds, call) {
  const start = performance.now();
  const end = start + seconds * 1000;
  let calls = 0;
  const caller = async () => {
    while (performance.now() < end) {
      await call();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return { calls, seconds: (performance.now() - start) / 1000 };
}

// Calls at a steady rate, whether or not the earlier ones have ended. Returns the milliseconds that `call` resolves with.
async function steadily(seconds, rate, call) {
  const count = Math.round(seconds * rate);
  const start = performance.now();
  const calls = [];
  for (let number = 0; number < count; number += 1) {
    const wait = start + (number * 1000) / rate - performance.now();
    if (wait > 0) await new Promise((resolve) => { setTimeout(resolve, wait); });
    calls.push(call());
  }
  return Promise.all(calls);
}

// Lets whoever awaits something know when it is done: ids that are done before they are awaited are remembered.
class Ends {
  #at = new Map();
  #waiting = new Map();

  done(id) {
    const now = performance.now();
    const resolve = this.#waiting.get(id);
    if (resolve) {
      this.#waiting.delete(id);
      resolve(now);
    } else {
      this.#at.set(id, now);
    }
  }

  of(id) {
    const at = this.#at.get(id);
    if (at === undefined) return new Promise((resolve) => { this.#waiting.set(id, resolve); });
    this.#at.delete(id);
    return at;
  }
}

module.exports = { Ends, players, repeat, serve, steadily };
