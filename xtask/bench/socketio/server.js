'use strict';

// The Socket.IO server that `cargo xtask bench push` measures: WebSocket only, nothing compressed. Lines on plain TCP
// connections say what to push: `one NUMBER TEXT` to the socket of that number, `all TEXT` to all sockets.

const http = require('node:http');
const net = require('node:net');
const { Server } = require('socket.io');

// As long as the payloads of the other peers.
const FILLER = 'x'.repeat(Number(process.argv[2]));

const web = http.createServer();
const io = new Server(web, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
});
// As the documentation advises to save memory.
io.engine.on('connection', (socket) => { socket.request = null; });

const sockets = [];
io.on('connection', (socket) => { sockets[socket.handshake.auth.number] = socket; });

function push(line) {
  const [command, first, second] = line.split(' ');
  if (command === 'one') {
    sockets[Number(first)].emit('push', second + FILLER);
  } else {
    io.emit('push', first + FILLER);
  }
}

const control = net.createServer({ noDelay: true }, (connection) => {
  let rest = '';
  connection.setEncoding('latin1');
  connection.on('error', () => {});
  connection.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    lines.forEach(push);
  });
});

web.listen(0, '127.0.0.1', 4096, () => {
  control.listen(0, '127.0.0.1', () => console.log(`ready ${web.address().port} ${control.address().port}`));
});
