// Runs the test files that it is given, or all of them, in one process: loading the SDK takes seconds each time.
'use strict';

const { readdirSync } = require('node:fs');
const { resolve } = require('node:path');

const given = process.argv.slice(2);
const files = given.length > 0 ? given : readdirSync(__dirname).filter((name) => name.endsWith('.test.js')).sort();
for (const file of files) require(resolve(__dirname, file));
