// `worker.mjs` on workerd. Usage: workers.mjs PORT PROVIDER BACKEND kv|map
//
// `kv` is the namespace that miniflare brings; with `map` nothing is stored outside of the worker's own memory.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

// Read when miniflare is loaded.
process.env.WORKERD = createRequire(import.meta.resolve("miniflare"))("workerd").default;
process.env.MINIFLARE_WORKERD_PATH = fileURLToPath(new URL("workerd.sh", import.meta.url));
const { Miniflare } = await import("miniflare");

const [port, provider, backend, tokens] = process.argv.slice(2);
const module = (path, url) => ({ type: "ESModule", path, contents: readFileSync(fileURLToPath(url), "utf8") });

const miniflare = new Miniflare({
  host: "127.0.0.1",
  port: Number(port),
  compatibilityDate: "2026-07-01",
  modules: [
    module("worker.mjs", new URL("worker.mjs", import.meta.url)),
    module("oauth-provider.js", import.meta.resolve("@cloudflare/workers-oauth-provider")),
  ],
  kvNamespaces: ["OAUTH_KV"],
  bindings: { ORIGIN: `http://127.0.0.1:${port}`, PROVIDER: provider, BACKEND: backend, TOKENS: tokens },
});
await miniflare.ready;
