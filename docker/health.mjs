// Is the container's process well? Exit status 0: yes; 1: no, and why on standard output (`docker inspect` shows it).
// Looks at what process 1 was started as: a server is well when it answers on its port, a client when its mount does.
import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { request } from "node:http";

/** The engine ends a check that takes longer than the Dockerfile says; before that it should say why. */
const patienceMillis = 8_000;

const words = readFileSync("/proc/1/cmdline", "utf8").split("\0").filter(Boolean);
const has = (word) => words.includes(word);

setTimeout(() => over(`no answer after ${patienceMillis / 1000} s`), patienceMillis);
if (has("name-server") || has("storage-node")) askServer(words[words.indexOf("--listen") + 1]);
else if (has("mount")) askMount(words.at(-1));
else over(`process 1 is neither a server nor a client: ${words.join(" ")}`);

/** Any answer will do: the port speaks WebSocket and says so. */
function askServer(listen) {
  const [, host, port] = /^(.*):(\d+)$/.exec(listen) ?? [];
  if (port === undefined) return over(`cannot tell where it listens: ${listen}`);
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host;
  request({ host: reachable, port, path: "/" }, (response) => {
    response.resume();
    over();
  })
    .on("error", (error) => over(`${reachable}:${port}: ${error.message}`))
    .end();
}

/** `fuse.dfs`'s number for statfs is FUSE's: without a mount the folder below answers, with another one. */
function askMount(mountPoint) {
  const fuse = 0x65735546;
  statfs(mountPoint).then(
    ({ type }) => over(type === fuse ? undefined : `nothing is mounted at ${mountPoint}`),
    (error) => over(error.message),
  );
}

function over(problem) {
  if (problem !== undefined) console.log(problem);
  process.exit(problem === undefined ? 0 : 1);
}
