/** Loaded before a program that a run starts a hundred times: what is in packages was compiled to V8's code once, and is read. Node 22 does that itself. */
/* oxlint-disable no-underscore-dangle -- Node names the parts of its loader so. */
'use strict';
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const vm = require('node:vm');
const { isMainThread } = require('node:worker_threads');

/** Set for the one process that fills the cache. */
const RECORDS = 'CODE_CACHE_RECORDS';
/** Beside what was compiled, which a test copies while this is made. */
const FOLDER = `${path.dirname(__dirname)}-code`;
/** Where the code of each file is among the bytes of all. */
const INDEX = path.join(FOLDER, 'index.json');
const BYTES = path.join(FOLDER, 'code');

const { _compile: compile } = Module.prototype;

function run(module, script, file) {
  const require = Object.assign((name) => module.require(name), {
    resolve: (name, options) => Module._resolveFilename(name, module, false, options),
    main: process.mainModule,
    extensions: Module._extensions,
    cache: Module._cache,
  });
  const body = script.runInThisContext();
  return body.call(module.exports, module.exports, require, module, file, path.dirname(file));
}

function scriptOf(source, file, cachedData) {
  return new vm.Script(Module.wrap(source), {
    filename: file,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
}

function record() {
  const scripts = new Map();
  Module.prototype._compile = function (source, file, format) {
    if (!file.includes('node_modules') || format === 'module') return compile.call(this, source, file, format);
    let script;
    try {
      script = scriptOf(source, file);
    } catch {
      return compile.call(this, source, file, format);
    }
    scripts.set(file, script);
    return run(this, script, file);
  };
  // What ran by then is in it, and not only what was compiled first.
  process.on('exit', () => {
    const index = {};
    const bytes = [];
    let from = 0;
    for (const [file, script] of scripts) {
      const code = script.createCachedData();
      index[file] = [from, code.length];
      bytes.push(code);
      from += code.length;
    }
    fs.mkdirSync(FOLDER, { recursive: true });
    fs.writeFileSync(BYTES, Buffer.concat(bytes));
    // Processes that start meanwhile find all of it or nothing.
    fs.writeFileSync(`${INDEX}.new`, JSON.stringify(index));
    fs.renameSync(`${INDEX}.new`, INDEX);
  });
}

function use() {
  const index = JSON.parse(fs.readFileSync(INDEX, 'utf8'));
  const bytes = fs.readFileSync(BYTES);
  Module.prototype._compile = function (source, file, format) {
    const [from, length] = index[file] ?? [];
    if (from === undefined) return compile.call(this, source, file, format);
    return run(this, scriptOf(source, file, bytes.subarray(from, from + length)), file);
  };
}

if (Module.enableCompileCache !== undefined) Module.enableCompileCache(FOLDER);
else if (process.env[RECORDS] !== undefined && isMainThread) record();
else if (fs.existsSync(INDEX)) use();
